"""What ``ModelService`` and ``ModelProxy`` can do with the models behind them.

The call shapes are AgentRun's; what comes back, streams and fails is OpenAI's own client. How a
call is carried out is ``calling.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelfleet import background
from modelfleet.client.base_info import BaseInfo
from modelfleet.client.called import Called
from modelfleet.client.calling import EMBEDDINGS, acreate, create, way_to
from modelfleet.client.completions import Completions
from modelfleet.client.config import Config
from modelfleet.client.connections import connected
from modelfleet.client.errors import raised_as_agentruns
from modelfleet.client.responses import Responses
from modelfleet.client.usage import Price, Usage
from modelfleet.client.usage_reading import usage_of

if TYPE_CHECKING:
    from openai.types import CreateEmbeddingResponse


class Inference(Completions, Responses):
    """Chat, responses and embeddings; where the model is, and who used how much of it."""

    if TYPE_CHECKING:

        def _called(self, config: Config | None) -> Called: ...

    # -- where, and with which key -----------------------------------------------------------

    def model_info(self, config: Config | None = None) -> BaseInfo:
        """Return where the model is called, and what belongs into every request to it.

        The address is that of this moment, from here: at ``base_url`` any client may call, for as
        long as this program runs, with ``api_key`` and ``headers``.

        Raises:
            ValueError: the object has no name.
            ResourceNotExistError: there is none of that name.
            NotReadyError: nobody would answer; says why.
            HTTPError: the cluster cannot be asked, or does not let us.
        """
        return background.run(self._info(config))

    async def model_info_async(self, config: Config | None = None) -> BaseInfo:
        """Return what :meth:`model_info` does."""
        return await background.run_async(self._info(config))

    # -- embeddings --------------------------------------------------------------------------

    def embedding(
        self,
        input: Any = (),  # noqa: A002
        model: str | None = None,
        custom_llm_provider: str | None = None,
        *,
        config: Config | None = None,
        **kwargs: Any,
    ) -> CreateEmbeddingResponse:
        """Return the vectors of ``input``, a text or several. Raises as :meth:`completion` does."""
        given = {"input": _texts(input), "model": model, **kwargs}
        embedded: CreateEmbeddingResponse = create(
            self._called(config), EMBEDDINGS, given, call="embedding", provider=custom_llm_provider
        )
        return embedded

    async def aembedding(
        self,
        input: Any = (),  # noqa: A002
        model: str | None = None,
        custom_llm_provider: str | None = None,
        *,
        config: Config | None = None,
        **kwargs: Any,
    ) -> CreateEmbeddingResponse:
        """Return what :meth:`embedding` does."""
        given = {"input": _texts(input), "model": model, **kwargs}
        embedded: CreateEmbeddingResponse = await acreate(
            self._called(config), EMBEDDINGS, given, call="aembedding", provider=custom_llm_provider
        )
        return embedded

    embedding_async = aembedding

    # -- who used what -----------------------------------------------------------------------

    def usage(
        self,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        config: Config | None = None,
    ) -> Usage:
        """Return what was used: of a proxy all of it, of a service what proxies sent to it.

        From the records that gateways write about every request, as far back as the cluster keeps
        their logs; :class:`Usage` says how far that is. ``since`` counts, ``until`` does not; a
        time without a zone is of UTC. ``prices`` are by the name that callers send.

        Raises:
            ValueError: ``since`` or ``until`` is no time, or ``prices`` are of several currencies.
            ResourceNotExistError: there is none of that name.
            HTTPError: we may not read logs, or the cluster cannot be asked.
        """
        return background.run(self._usage(since, until, prices, config))

    async def usage_async(
        self,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        config: Config | None = None,
    ) -> Usage:
        """Return what :meth:`usage` does."""
        return await background.run_async(self._usage(since, until, prices, config))

    # -- how it is done ----------------------------------------------------------------------

    async def _info(self, config: Config | None) -> BaseInfo:
        called = self._called(config)
        way = await way_to(called)
        return BaseInfo(
            model=way.target.model or "",
            api_key=way.api_key or "",
            base_url=way.base_url,
            headers=called.config.get_headers(),
            provider=called.provider or "openai",
            address=way.told,
        )

    async def _usage(
        self,
        since: datetime | str | None,
        until: datetime | str | None,
        prices: Mapping[str, Price] | None,
        config: Config | None,
    ) -> Usage:
        called = self._called(config)
        with raised_as_agentruns(called.name):
            async with connected(called.config, holder=called.holder) as connection:
                return await usage_of(
                    connection.fleet, called, since=since, until=until, prices=prices
                )


def _texts(given: Any) -> Any:
    return list(given) if isinstance(given, tuple) else given
