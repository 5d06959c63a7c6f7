"""Where the SDK and the HTTP API do on purpose what AgentRun's do not, each with the reason.

A program that changes its import, or its endpoint, meets these and no others. The reference is
printed from here; fields that differ stand in ``fields.py``. No code follows this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Where(StrEnum):
    """What a difference is one of."""

    FINDING = "Finding and deleting"
    WRITING = "Creating and updating"
    LISTING = "Listing"
    WAITING = "Status and waiting"
    CALLING = "Calling models"
    CONFIG = "Config"
    ERRORS = "Errors and secrets"
    WIRE = "HTTP API"


@dataclass(frozen=True)
class Difference:
    """One behaviour: what AgentRun does, what is done here, and why."""

    where: Where
    theirs: str
    ours: str
    why: str


DIFFERENCES: Final[tuple[Difference, ...]] = (
    # -- finding and deleting
    Difference(
        Where.FINDING,
        "`get` of a name without a kind looks for a service, then for a proxy; any failure of the "
        "first look, a 403 or 500 too, leads to the second one.",
        "Service, then proxy. Both are looked for at one moment, and a failure is a failure.",
        'A 403 came out as "does not exist".',
    ),
    Difference(
        Where.FINDING,
        "`delete` of a name without a kind tries the proxy first, then the service, also where the "
        "proxy exists and may not be deleted.",
        "A name that means both is refused with status 409; say `backend_type`.",
        "The other one was deleted.",
    ),
    Difference(
        Where.FINDING,
        'Whether a resource exists is told by the words of a message: "does not exist", "not '
        'found", "already exists".',
        'By status and error code alone. 403 is never taken for "does not exist".',
        "Other words, and other cases of letters, were other errors; duplicates came as 500.",
    ),
    Difference(
        Where.FINDING,
        "0.0.54: a service that is missing raises the wire's error, so that `get_by_name`, "
        "`refresh` and `delete_and_wait_until_finished` of services fail; one without "
        "provider_settings counts as missing.",
        "ResourceNotExistError, for both kinds; a service without provider_settings is found.",
        "As it was before that release, and as programs expect.",
    ),
    Difference(
        Where.FINDING,
        "`delete` of what a proxy sends requests to: not established.",
        "Refused with the proxy named, and so is a resource with `deletion_protection`.",
        "A proxy would be left that points nowhere.",
    ),
    Difference(
        Where.FINDING,
        "Everything belongs to the account.",
        "Every resource has an `owner`. What another one declared (a Pulumi stack) is read, waited "
        "for and called; a write is refused with the owner named, but with `take_ownership=True`.",
        "Two tools that write one resource undo each other's work.",
    ),
    Difference(
        Where.FINDING,
        "An object is a name: `delete` on an old object deletes a new namesake.",
        "An object remembers which creation it shows: another one of its name is not deleted, and "
        "a wait for its end is over when it is gone.",
        "A name that is used again is another resource.",
    ),
    # -- creating and updating
    Difference(
        Where.WRITING,
        "`create` and `update` write into the input: `proxy_mode` is filled in.",
        "Inputs are never changed.",
        "One input may be used many times, by several threads.",
    ),
    Difference(
        Where.WRITING,
        "`ProxyConfig()` without endpoints raises TypeError where the mode is derived.",
        "It is `single`; that nobody answers is told by name.",
        "It is no bug of the program's.",
    ),
    Difference(
        Where.WRITING,
        "The `proxy_mode` that was derived at creation stays: no update can change it.",
        "A mode that is as it would be derived follows the endpoints.",
        "A proxy that gets a second endpoint is to use both.",
    ),
    Difference(
        Where.WRITING,
        '"Mutable" fields of a proxy (cpu, memory, litellm_version, proxy_mode, name, region) '
        "are dropped from an update without a word.",
        "cpu, memory, litellm_version and proxy_mode change; another name and a region are "
        "refused with the reason.",
        "Nothing that is said is dropped.",
    ),
    Difference(
        Where.WRITING,
        "model_type, provider, workspace_id and model_info_configs of a service, model_type and "
        "workspace_id of a proxy cannot be changed by the SDK.",
        "They can.",
        "Nothing keeps them from changing.",
    ),
    Difference(
        Where.WRITING,
        "Names that are no fields are kept in the object, and have no effect.",
        "They are errors, each by the name it was written with, and with the nearest field. In "
        "Python both spellings of a field are read: snake_case and camelCase.",
        "A misspelt field looked as if it was set.",
    ),
    Difference(
        Where.WRITING,
        "What an update says to be None is not sent: nothing can be unset.",
        '`update(…, clear=("description", "provider_settings.api_key", "tags.team"))`; on the '
        "wire an explicit null. None in an input still says nothing.",
        "There was no way back.",
    ),
    Difference(
        Where.WRITING,
        "Whether an update replaces a part or merges it: not established.",
        "Maps are merged by name at any depth, lists are replaced as a whole. What is cleared and "
        "said in one call is replaced.",
        "What was not said stays, inside of a part too; a key that was not sent is not lost.",
    ),
    Difference(
        Where.WRITING,
        "Every update sends `modelInfoConfigs: []`; what the server makes of it is not known.",
        "On the wire of an update an empty list says nothing. null, `clear`, or `[]` said to the "
        "SDK of modelfleet, clear.",
        "AgentRun's own client would clear it with every update.",
    ),
    Difference(
        Where.WRITING,
        "A created resource is a registration: base_url, key and names of something that runs.",
        "So it is; and with `deployment` it runs here: model, engine, GPUs, replicas. `scale`, "
        "`stop` and `start` are its verbs.",
        "The models are yours.",
    ),
    Difference(
        Where.WRITING,
        "What a name may be: not established.",
        "2 to 63 lower-case letters, digits and dashes, beginning with a letter; a proxy's has 57 "
        "at most. Names are per kind and namespace.",
        "They are names of Kubernetes objects, and hosts of URLs.",
    ),
    Difference(
        Where.WRITING,
        "`network_mode` is PUBLIC unless said.",
        "PRIVATE, and nothing else: an Ingress or Gateway of your own makes a proxy public.",
        "What nobody asked for is not opened.",
    ),
    Difference(
        Where.WRITING,
        "`credential_name` is a credential of AgentRun, with an API of its own.",
        "A Kubernetes Secret of the namespace, `name` or `name/key` (default key api_key).",
        "Clusters have a place for secrets, and tools that fill it.",
    ),
    Difference(
        Where.WRITING,
        "How a proxy follows a service that it names and that changes: not established.",
        "The service is looked up when the proxy is created, and whenever an update says the "
        "endpoint or route again: address, names, key and context window are declared with the "
        "proxy.",
        "What a proxy does is known before it does it, and shows as a change of the proxy.",
    ),
    # -- listing
    Difference(
        Where.LISTING,
        "Each page is read anew: between two pages resources appear twice or not at all.",
        "The pages of one listing, and `list_all`, are of one moment, by name.",
        "A list showed what a delete then called missing.",
    ),
    Difference(
        Where.LISTING,
        "`list_all` takes items with one id for one, and those without an id too.",
        "Every resource is in it once; none is without an id, and none would be left out for it.",
        "All but one were lost.",
    ),
    Difference(
        Where.LISTING,
        "`list_all` cannot be narrowed to a workspace.",
        "`workspace_id` is a filter of both kinds.",
        "The wire has it.",
    ),
    # -- status and waiting
    Difference(
        Where.WAITING,
        "The typed object has no reason; the wire's `statusReason` is an extra that `refresh` does "
        "not bring up to date.",
        "`status_reason` is a field, always as of the last look: which pod, why, what to change.",
        '"CREATE_FAILED" alone helps nobody.',
    ),
    Difference(
        Where.WAITING,
        "`wait_until_ready_or_failed` returns None, whatever came of it.",
        "So it does; with `raise_on_failure=True` it raises NotReadyError with the diagnosis.",
        "A script went on with a service that had failed.",
    ),
    Difference(
        Where.WAITING,
        "Statuses are seven words and None.",
        "STOPPED (no replicas declared) and DEGRADED (some replicas serve) are added in Python. "
        "HTTP has AgentRun's words only: STOPPED is null, DEGRADED is READY, and `statusReason` "
        "begins with the word.",
        "AgentRun's SDK takes an unknown word for one that is never final.",
    ),
    Difference(
        Where.WAITING,
        "A wait asks every `interval_seconds`, and ends up to one interval after its timeout.",
        "All waits of a process share one watch: a look costs no request, comes with every change, "
        "and the timeout is exact. `callback` is called at least as often.",
        "A hundred waits are as cheap as one.",
    ),
    Difference(
        Where.WAITING,
        "Waits and refreshes go by the environment, whatever Config the object came by.",
        "An object keeps the Config that it came by for all later calls, `set_config` replaces it, "
        "and what is given to a call is laid over it.",
        "Calls went to another account, or to none.",
    ),
    Difference(
        Where.WAITING,
        "Times have microseconds.",
        "The same form; Kubernetes knows whole seconds.",
        "Nothing finer is recorded.",
    ),
    # -- calling models
    Difference(
        Where.CALLING,
        "Headers of `model_info` are not sent by completion, responses and embedding.",
        "They are, with every call; those of the call win.",
        "Signed or protected proxies could not be called.",
    ),
    Difference(
        Where.CALLING,
        "`completions(messages)` and `responses(messages=…)` raise TypeError since 0.0.51, though "
        "the documentation shows them.",
        "Both generations of call shapes work; `completions` says that it is deprecated.",
        "Programs were written by the documentation.",
    ),
    Difference(
        Where.CALLING,
        "Replies are LiteLLM's objects, its exceptions are raised, and `config=` goes into the "
        "request.",
        "Replies, streams and exceptions are those of OpenAI's own client; `config=` is the call's "
        "Config.",
        "One protocol, one client that everybody knows; nothing large to install.",
    ),
    Difference(
        Where.CALLING,
        "`custom_llm_provider`, or the service's `provider`, chooses an implementation of LiteLLM; "
        "half of AgentRun's own providers (tongyi, …) are none and fail.",
        "Every endpoint speaks OpenAI's protocol, whatever `provider` says. `custom_llm_provider` "
        "may be openai or custom; any other, and arguments that only LiteLLM knows, are refused by "
        "name.",
        "The documented example failed.",
    ),
    Difference(
        Where.CALLING,
        "`model_info` of a service without an address fails with a bare AssertionError.",
        "NotReadyError says why nobody would answer.",
        "It is a state of the service, not a bug.",
    ),
    Difference(
        Where.CALLING,
        "The address is AgentRun's data endpoint.",
        "`endpoint` of Config, else a data endpoint that was said, else the Service itself (inside "
        "of the cluster), an Ingress, or a port-forward made on demand; `model_info` tells the "
        "address of this moment.",
        "Programs run inside and outside of clusters.",
    ),
    Difference(
        Where.CALLING,
        "Without a `model`, the first name that is declared is sent, else an empty one.",
        "The resource's own name; where it answers to several or to none that is known, ValueError "
        "asks for `model`.",
        "A call of the wrong model costs money, and an empty name says nothing.",
    ),
    # -- Config
    Difference(
        Where.CONFIG,
        "Defaults are filled in when a Config is made, so that a later, empty `Config()` takes an "
        "explicit region back.",
        "Only what was said is kept and merged; defaults and environment are looked up when asked.",
        "Saying nothing changes nothing.",
    ),
    Difference(
        Where.CONFIG,
        "Merging changes the caller's headers.",
        "No argument is ever changed.",
        "The headers of one call turned up in another.",
    ),
    Difference(
        Where.CONFIG,
        "`timeout` is documented as seconds and used as milliseconds.",
        "Seconds, for every time.",
        "0.6 seconds were too short to connect.",
    ),
    Difference(
        Where.CONFIG,
        "`.env` is read when the package is imported.",
        "No file is read at import. Variables of AgentRun's names are looked up as there.",
        "An import should do nothing.",
    ),
    Difference(
        Where.CONFIG,
        "Region, account, access key and control endpoint say where calls go.",
        "`cluster`, `namespace` and `owner` do, or their variables MODELFLEET_…. Of AgentRun's, "
        "data_endpoint, headers and times are used for calls of models; the others are kept and "
        "told back, and go nowhere.",
        "The backend is a cluster, reached by its kubeconfig.",
    ),
    # -- errors and secrets
    Difference(
        Where.ERRORS,
        "`repr` of inputs, objects and Config shows keys.",
        "It never does, nor does any message or log; of a secret environment it shows the names.",
        "They ended in logs.",
    ),
    Difference(
        Where.ERRORS,
        "`provider_settings.api_key` is told back by get and list.",
        "No read tells a secret. A service's own key is used for calls; through HTTP an account "
        "that may read credentials asks for it by name, and each look is a line of the audit log.",
        "Whoever may look may not therefore call.",
    ),
    Difference(
        Where.ERRORS,
        "ResourceNotExistError and its siblings have no status and no request id.",
        "`status_code` and `request_id` are there, and the cause is `__cause__`; every problem of "
        "an input is told at once, by field.",
        "A support request needs them.",
    ),
    # -- the wire
    Difference(
        Where.WIRE,
        "A duplicate is status 400, 409 or 500.",
        "409, with `ResourceAlreadyExists` and the words that AgentRun's SDK looks for; what is "
        'missing is 404 with `ResourceNotFound` and "does not exist".',
        "An unmodified SDK raises what it should.",
    ),
    Difference(
        Where.WIRE,
        "A PUT takes `status` and `statusReason`, and drops what it does not know.",
        "Outputs and unknown names are refused with status 400 by their name in the body; the name "
        "of the resource itself may be in it.",
        "Nothing that is said is dropped.",
    ),
    Difference(
        Where.WIRE,
        "The documentation has the model types `system` and `deployment`; the SDK sends `llm`, …",
        "Those of the SDK.",
        "One set of words for one thing.",
    ),
    Difference(
        Where.WIRE,
        "Bodies are camelCase.",
        "camelCase is written, both spellings are read. Keys of free maps (tags, environment, "
        "callers, routes) are never respelled.",
        "One description serves Python and HTTP.",
    ),
    Difference(
        Where.WIRE,
        "A resource of a workspace that the caller does not have: not established.",
        "It reads as missing, in the words of one that is.",
        "Tenants do not learn each other's names.",
    ),
    Difference(
        Where.WIRE,
        "An access key that is not known is 404, a signature that does not fit 400.",
        "401, with Alibaba Cloud's codes.",
        "AgentRun's SDK takes 404 for a resource that is not there.",
    ),
    Difference(
        Where.WIRE,
        "Security tokens, and on Alibaba Cloud at large the older HMAC-SHA1, are accepted.",
        "ACS3-HMAC-SHA256 with a lasting key, each request once; AGENTRUN4-HMAC-SHA256 for the "
        "data endpoint.",
        "That is what AgentRun's SDK sends; there are no temporary keys here.",
    ),
    Difference(
        Where.WIRE,
        "Parameters of a list that are not known have no effect.",
        "They are refused with status 400.",
        "A misspelt filter returned everything.",
    ),
    Difference(
        Where.WIRE,
        "`model-providers` is a catalogue of AgentRun's.",
        "The providers of the services that are there.",
        "What is not declared is not known here.",
    ),
)
"""All of them, by place."""
