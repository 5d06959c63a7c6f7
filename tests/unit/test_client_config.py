"""Config: AgentRun's arguments, variables and getters, without its traps."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from modelfleet.client import Config, ConfigError
from modelfleet.clusters import ClusterConfig

VARIABLES = (
    "AGENTRUN_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "AGENTRUN_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "AGENTRUN_SECURITY_TOKEN",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "AGENTRUN_ACCOUNT_ID",
    "FC_ACCOUNT_ID",
    "AGENTRUN_REGION",
    "FC_REGION",
    "AGENTRUN_CONTROL_ENDPOINT",
    "AGENTRUN_DATA_ENDPOINT",
    "DEVS_ENDPOINT",
    "BAILIAN_ENDPOINT",
    "AGENTRUN_KB_USE_VPC",
    "MODELFLEET_CLUSTER",
    "MODELFLEET_CLUSTERS",
    "MODELFLEET_NAMESPACE",
    "MODELFLEET_OWNER",
    "MODELFLEET_ENDPOINT",
    "MODELFLEET_API_KEY",
)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_what_nobody_says_has_agentruns_defaults() -> None:
    config = Config()
    assert config.get_access_key_id() == ""
    assert config.get_access_key_secret() == ""
    assert config.get_security_token() == ""
    assert config.get_token() is None
    assert config.get_region_id() == "cn-hangzhou"
    assert config.get_timeout() == 600
    assert config.get_read_timeout() == 100000
    assert config.get_headers() == {}
    assert config.get_use_vpc_endpoint() is False
    assert config.get_control_endpoint() == "https://agentrun.cn-hangzhou.aliyuncs.com"
    assert config.get_devs_endpoint() == "https://devs.cn-hangzhou.aliyuncs.com"
    assert config.get_bailian_endpoint() == "https://bailian.cn-beijing.aliyuncs.com"
    assert config.get_gpdb_endpoint() == "gpdb.aliyuncs.com"
    assert config.get_ots_endpoint("i") == "https://i.cn-hangzhou.ots.aliyuncs.com"
    for getter in (config.get_account_id, config.get_data_endpoint):
        with pytest.raises(ValueError, match="account id is not set"):
            getter()


def test_what_nobody_says_about_a_cluster_is_the_ambient_one() -> None:
    config = Config()
    assert (config.get_cluster(), config.get_namespace()) == ("default", "default")
    assert config.get_owner() == "modelfleet-client"
    assert config.get_endpoint() is None
    assert config.get_take_ownership() is False
    assert config.get_cluster_config() == ClusterConfig()


GETTERS: dict[str, tuple[Callable[[Config], Any], tuple[str, ...]]] = {
    "access_key_id": (Config.get_access_key_id, VARIABLES[0:2]),
    "access_key_secret": (Config.get_access_key_secret, VARIABLES[2:4]),
    "security_token": (Config.get_security_token, VARIABLES[4:6]),
    "account_id": (Config.get_account_id, VARIABLES[6:8]),
    "region_id": (Config.get_region_id, VARIABLES[8:10]),
    "control_endpoint": (Config.get_control_endpoint, VARIABLES[10:11]),
    "data_endpoint": (Config.get_data_endpoint, VARIABLES[11:12]),
    "devs_endpoint": (Config.get_devs_endpoint, VARIABLES[12:13]),
    "bailian_endpoint": (Config.get_bailian_endpoint, VARIABLES[13:14]),
    "cluster": (Config.get_cluster, ("MODELFLEET_CLUSTER",)),
    "namespace": (Config.get_namespace, ("MODELFLEET_NAMESPACE",)),
    "owner": (Config.get_owner, ("MODELFLEET_OWNER",)),
    "endpoint": (Config.get_endpoint, ("MODELFLEET_ENDPOINT",)),
    "api_key": (Config.get_api_key, ("MODELFLEET_API_KEY",)),
}


@pytest.mark.parametrize("argument", GETTERS)
def test_code_comes_before_the_environment_and_that_is_asked_when_it_is_needed(
    argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    getter, variables = GETTERS[argument]
    arguments: dict[str, Any] = {argument: "said"}
    unsaid, said = Config(), Config(**arguments)
    for variable in reversed(variables):
        monkeypatch.setenv(variable, f"by {variable}")
        assert getter(unsaid) == f"by {variable}"
    assert getter(said) == "said"


def test_a_variable_that_is_set_and_empty_hides_those_that_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AGENTRUN_ACCESS_KEY_ID", "")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "hidden")
    assert Config().get_access_key_id() == ""


@pytest.mark.parametrize(
    ("text", "holds"), [("1", True), ("TRUE", True), (" on ", True), ("0", False), ("", False)]
)
def test_a_flag_of_the_environment_is_read_as_agentrun_reads_it(
    text: str, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTRUN_KB_USE_VPC", text)
    assert Config().get_use_vpc_endpoint() is holds
    assert Config(use_vpc_endpoint=not holds).get_use_vpc_endpoint() is not holds


def test_the_addresses_inside_of_a_network_follow_the_flag() -> None:
    config = Config(use_vpc_endpoint=True, region_id="cn-beijing")
    assert config.get_bailian_endpoint() == "bailian-vpc.cn-beijing.aliyuncs.com"
    assert config.get_gpdb_endpoint() == "gpdb-vpc.cn-beijing.aliyuncs.com"
    assert config.get_ots_endpoint("i") == "https://i.cn-beijing.vpc.tablestore.aliyuncs.com"
    assert Config(region_id="eu-1").get_gpdb_endpoint() == "gpdb.eu-1.aliyuncs.com"
    assert Config(account_id="7").get_data_endpoint() == (
        "https://7.agentrun-data.cn-hangzhou.aliyuncs.com"
    )


def test_arguments_stand_in_agentruns_order() -> None:
    config = Config("id", "secret", "sts", "account", "token", "region", 1, 2, "c", "d")
    assert config.get_access_key_id() == "id"
    assert config.get_access_key_secret() == "secret"
    assert config.get_security_token() == "sts"
    assert config.get_account_id() == "account"
    assert config.get_token() == "token"
    assert config.get_region_id() == "region"
    assert (config.get_timeout(), config.get_read_timeout()) == (1, 2)
    assert (config.get_control_endpoint(), config.get_data_endpoint()) == ("c", "d")


def test_a_time_of_nought_is_none_at_all() -> None:
    assert Config(timeout=0, read_timeout=0).get_timeout() == 600


def test_later_configs_win_and_headers_are_merged_by_name() -> None:
    first = Config(region_id="a", headers={"x": "1", "y": "1"}, namespace="n")
    second = Config(region_id="b", headers={"y": "2"})
    merged = Config.with_configs(first, None, second)
    assert (merged.get_region_id(), merged.get_namespace()) == ("b", "n")
    assert merged.get_headers() == {"x": "1", "y": "2"}


def test_what_was_said_survives_a_later_config_that_says_nothing() -> None:
    said = Config(region_id="a", account_id="7", timeout=600, namespace="n")
    merged = Config.with_configs(Config(timeout=5), said, Config())
    assert (merged.get_region_id(), merged.get_account_id()) == ("a", "7")
    assert (merged.get_timeout(), merged.get_namespace()) == (600, "n")


def test_merging_changes_none_of_what_is_merged() -> None:
    headers = {"x": "1"}
    first, second = Config(headers=headers), Config(headers={"x": "2"}, region_id="b")
    Config.with_configs(first, second)
    second.get_headers()["z"] = "9"
    assert (headers, first.get_headers()) == ({"x": "1"}, {"x": "1"})
    assert second.get_headers() == {"x": "2"}
    assert first.update(second) is first, "an update changes what it is called on, and only that"
    first.get_headers().clear()
    assert (first.get_region_id(), first.get_headers()) == ("b", {"x": "2"})
    assert second.get_headers() == {"x": "2"}


def test_no_secret_is_shown_and_copies_are_independent() -> None:
    secrets = {
        name: f"hush-{name}"
        for name in ("access_key_id", "access_key_secret", "security_token", "token", "api_key")
    }
    kubeconfig = "users: [{token: hush-kubeconfig}]\n"
    clusters = {"prod": {"kubeconfig": kubeconfig}}
    config = Config(
        **secrets,  # type: ignore[arg-type]
        headers={"Authorization": "hush-header"},
        kubeconfig=kubeconfig,
        clusters=clusters,
        namespace="n",
    )
    assert "hush" not in f"{config!r} {config}"
    assert "namespace='n'" in repr(config)
    for twin in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):  # noqa: S301
        assert twin.get_access_key_secret() == "hush-access_key_secret"
        twin.update(Config(namespace="other"))
    assert config.get_namespace() == "n"


def test_a_cluster_is_what_its_name_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = {"prod": {"context": "p"}, "test": {"kubeconfig": "/t", "context": None}}
    assert Config(cluster="prod", clusters=clusters).get_cluster_config() == ClusterConfig(
        context="p"
    )
    monkeypatch.setenv("MODELFLEET_CLUSTERS", json.dumps(clusters))
    assert Config(cluster="test").get_cluster_config() == ClusterConfig(kubeconfig="/t")
    assert Config(cluster="new", context="c").get_cluster_config() == ClusterConfig(context="c")
    with pytest.raises(ConfigError, match=r"'other' is not configured \(known: default, prod, te"):
        Config(cluster="other").get_cluster_config()


@pytest.mark.parametrize("text", ["[]", "{", '{"prod": 1}', '{"prod": {"kubeconfg": "x"}}'])
def test_clusters_of_the_environment_that_are_no_map_are_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELFLEET_CLUSTERS", text)
    with pytest.raises(ConfigError, match="MODELFLEET_CLUSTERS is not a map"):
        Config(cluster="prod").get_cluster_config()


def test_a_call_takes_ownership_where_it_or_its_config_says_so() -> None:
    assert not Config().get_scope().take_ownership
    assert Config().get_scope(take_ownership=True).take_ownership
    assert Config(take_ownership=True).get_scope().take_ownership
    assert not Config(take_ownership=True).get_scope(take_ownership=False).take_ownership
