"""What AgentRun's programs ask a Config for: credentials, addresses, times, headers.

Most of it means nothing here, and is told back as AgentRun would tell it, so that a program that
reads it goes on working. What code says comes first, then the environment, then the default; each
is looked up when it is asked for.
"""

from __future__ import annotations

import os
from typing import Any, Final

DEFAULT_REGION: Final = "cn-hangzhou"
DEFAULT_TIMEOUT_SECONDS: Final = 600
DEFAULT_READ_TIMEOUT_SECONDS: Final = 100_000

_TRUE: Final = ("1", "true", "yes", "on")
_SHARED_GPDB_REGIONS: Final = frozenset(
    {
        "ap-southeast-1",
        "cn-beijing",
        "cn-hangzhou",
        "cn-hongkong",
        "cn-shanghai",
        "cn-shenzhen",
    }
)


class AgentRunSettings:
    """What was ``said`` in code, by the name of the argument, and the getters of AgentRun."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said

    def get_access_key_id(self) -> str:
        """Return the access key, ``""`` where there is none."""
        return self._text("access_key_id", "AGENTRUN_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID")

    def get_access_key_secret(self) -> str:
        """Return the secret of the access key, ``""`` where there is none."""
        return self._text(
            "access_key_secret", "AGENTRUN_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
        )

    def get_security_token(self) -> str:
        """Return the token of a temporary access key, ``""`` where there is none."""
        return self._text(
            "security_token", "AGENTRUN_SECURITY_TOKEN", "ALIBABA_CLOUD_SECURITY_TOKEN"
        )

    def get_account_id(self) -> str:
        """Return the account.

        Raises:
            ValueError: neither code nor environment says it.
        """
        account_id = self._text("account_id", "AGENTRUN_ACCOUNT_ID", "FC_ACCOUNT_ID")
        if not account_id:
            raise ValueError(
                "account id is not set, please add AGENTRUN_ACCOUNT_ID env variable or set it in"
                " code."
            )
        return account_id

    def get_token(self) -> str | None:
        """Return the token of data calls, None where there is none."""
        token: str | None = self._said.get("token")
        return token

    def get_region_id(self) -> str:
        """Return the region."""
        return self._text("region_id", "AGENTRUN_REGION", "FC_REGION") or DEFAULT_REGION

    def get_timeout(self) -> float:
        """Return how many seconds one call may take that is no inference."""
        return self._said.get("timeout") or DEFAULT_TIMEOUT_SECONDS

    def get_read_timeout(self) -> float:
        """Return for how many seconds an answer of a model may keep silent."""
        return self._said.get("read_timeout") or DEFAULT_READ_TIMEOUT_SECONDS

    def get_control_endpoint(self) -> str:
        """Return AgentRun's address for control calls; nothing is sent there."""
        said = self._text("control_endpoint", "AGENTRUN_CONTROL_ENDPOINT")
        return said or f"https://agentrun.{self.get_region_id()}.aliyuncs.com"

    def get_said_data_endpoint(self) -> str | None:
        """Return the address for data calls that code or environment says, which inference uses."""
        return self._text("data_endpoint", "AGENTRUN_DATA_ENDPOINT") or None

    def get_data_endpoint(self) -> str:
        """Return the address for data calls; to AgentRun's own one nothing is sent.

        Raises:
            ValueError: it depends on the account, which nobody says.
        """
        if said := self.get_said_data_endpoint():
            return said
        account_id, region_id = self.get_account_id(), self.get_region_id()
        return f"https://{account_id}.agentrun-data.{region_id}.aliyuncs.com"

    def get_devs_endpoint(self) -> str:
        """Return AgentRun's address for DevS; nothing is sent there."""
        said = self._text("devs_endpoint", "DEVS_ENDPOINT")
        return said or f"https://devs.{self.get_region_id()}.aliyuncs.com"

    def get_bailian_endpoint(self) -> str:
        """Return the address of Bailian, which is in one region only; nothing is sent there."""
        if said := self._text("bailian_endpoint", "BAILIAN_ENDPOINT"):
            return said
        if self.get_use_vpc_endpoint() and self.get_region_id() == "cn-beijing":
            return "bailian-vpc.cn-beijing.aliyuncs.com"
        return "https://bailian.cn-beijing.aliyuncs.com"

    def get_gpdb_endpoint(self) -> str:
        """Return the address of GPDB; nothing is sent there."""
        region_id = self.get_region_id()
        if self.get_use_vpc_endpoint():
            return f"gpdb-vpc.{region_id}.aliyuncs.com"
        shared = region_id in _SHARED_GPDB_REGIONS
        return "gpdb.aliyuncs.com" if shared else f"gpdb.{region_id}.aliyuncs.com"

    def get_ots_endpoint(self, instance_name: str) -> str:
        """Return the address of a table store; nothing is sent there."""
        network = "vpc.tablestore" if self.get_use_vpc_endpoint() else "ots"
        return f"https://{instance_name}.{self.get_region_id()}.{network}.aliyuncs.com"

    def get_use_vpc_endpoint(self) -> bool:
        """Return whether AgentRun's knowledge bases are asked for inside of a network."""
        said = self._said.get("use_vpc_endpoint")
        if said is not None:
            return bool(said)
        return self._text("", "AGENTRUN_KB_USE_VPC").strip().lower() in _TRUE

    def get_headers(self) -> dict[str, str]:
        """Return the headers of every inference request; a copy."""
        return dict(self._said.get("headers", {}))

    def _text(self, name: str, *variables: str) -> str:
        """Return what code says, else the first of the variables that is set, else ``""``."""
        said = self._said.get(name)
        if said is not None:
            return str(said)
        return next((os.environ[each] for each in variables if each in os.environ), "")
