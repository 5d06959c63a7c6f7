"""The enumerations of AgentRun, with its spellings. Their values are what is sent and recorded."""

from __future__ import annotations

from enum import StrEnum


class BackendType(StrEnum):
    """Which of the two resources a name means."""

    PROXY = "proxy"
    SERVICE = "service"


class ModelType(StrEnum):
    """What a model does."""

    LLM = "llm"
    EMBEDDING = "text-embedding"
    RERANK = "rerank"
    SPEECH2TEXT = "speech2text"
    TTS = "tts"
    MODERATION = "moderation"


class Provider(StrEnum):
    """Who makes or serves a model; any other text is as good."""

    OpenAI = "openai"
    Anthropic = "anthropic"
    BaiChuan = "baichuan"
    DeepSeek = "deepseek"
    Gemini = "gemini"
    HunYuan = "hunyuan"
    MiniMax = "minimax"
    MoonShot = "moonshot"
    Spark = "spark"
    StepFun = "stepfun"
    Tongyi = "tongyi"
    VertexAI = "vertex_ai"
    WenXin = "wenxin"
    Yi = "yi"
    ZhiPuAI = "zhipuai"
    Custom = "custom"


class ProxyMode(StrEnum):
    """Whether a proxy has one upstream or several."""

    SINGLE = "single"
    MULTI = "multi"


class NetworkMode(StrEnum):
    """From where a resource can be reached; only PRIVATE is available yet."""

    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"
    PUBLIC_AND_PRIVATE = "PUBLIC_AND_PRIVATE"


class Status(StrEnum):
    """How a resource is: AgentRun's words, and two that Kubernetes adds."""

    CREATING = "CREATING"
    CREATE_FAILED = "CREATE_FAILED"
    UPDATING = "UPDATING"
    UPDATE_FAILED = "UPDATE_FAILED"
    READY = "READY"
    DELETING = "DELETING"
    DELETE_FAILED = "DELETE_FAILED"
    STOPPED = "STOPPED"
    DEGRADED = "DEGRADED"

    @staticmethod
    def is_final_status(status: Status | None = None) -> bool:
        """Return whether nothing is under way; None, which says nothing, counts as final."""
        return status not in _UNDER_WAY

    def is_final(self) -> bool:
        """Return whether nothing is under way."""
        return Status.is_final_status(self)


_UNDER_WAY = (Status.CREATING, Status.UPDATING, Status.DELETING)
