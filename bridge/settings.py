"""One frozen Settings from `CALLBRIDGE_*` and an optional TOML file; every fault listed at once, secrets hidden."""

from __future__ import annotations

import base64
import ipaddress
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bridge.errors import SetupError
from bridge.model.ice import ice_servers

PREFIX = "CALLBRIDGE_"

ED25519_KEY_BYTES = 32
"""RFC 8032 §5.1.5."""


class Settings(BaseSettings):
    """Everything that can be set. `public_url` is `CALLBRIDGE_PUBLIC_URL` in the environment, `public_url` in TOML."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    public_url: str | None = Field(None, description="how carriers reach this server, e.g. https://calls.example.org")
    database_url: str = Field("sqlite:///var/callbridge.db", description="sqlite:///FILE or postgresql://…")
    events_url: str = Field("memory://", description="memory:// or redis://…")
    engine: str = Field("local", description="local, or ray://HOST:8000: Ray Serve (`callbridge deploy-engine`)")
    model: str = Field("base", description="weights: a name (`callbridge models list`) or a folder")
    model_dir: Path | None = Field(None, description="a folder looked into first for named weights")
    model_download: bool = Field(False, description="whether weights may be fetched from the model hub")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the model runs")
    compute_type: str = Field("auto", description="auto (int8 on a CPU, float16 on a GPU) or any CTranslate2 type")
    language: str = Field("auto", description="a Whisper language code, or auto: found once a leg, then held")
    diarize: bool = Field(False, description="whether speakers of one leg are told apart in calls that do not say")
    known_voices: bool = Field(
        False, description="whether voices may be enrolled (`POST /v1/speakers`), so that transcripts carry names"
    )
    speaker_model: str = Field("campplus", description="what tells speakers apart: campplus, or an ONNX file like it")
    spool_dir: Path = Field(Path("var/spool"), description="where audio is kept until its call is delivered")
    allow_private_urls: str = Field(
        "off",
        description="hosts or networks, comma-separated, that webhooks and audio URLs may reach; on = any",
    )
    auth: Literal["required", "off"] = Field("required", description="off only binds to loopback")
    bootstrap_key: SecretStr | None = Field(None, description="an API key that works from the first start")
    webhook_url: str | None = Field(None, description="a first webhook endpoint")
    webhook_secret: SecretStr | None = Field(None, description="its signing secret (whsec_…)")
    secret_key: SecretStr | None = Field(
        None, description="encrypts webhook secrets and signs tokens; made in var/secret.key when unset"
    )
    max_calls: Literal["auto"] | int = Field(
        "auto", description="calls at once; auto: as many as this machine is measured to hold, at the start"
    )
    keep_calls_days: float | None = Field(
        None, gt=0, description="days after its end that a call is deleted: words, events, deliveries, recording"
    )
    keep_recordings_days: float | None = Field(
        None, gt=0, description="days after its end that a call's recording is deleted; with the call at the latest"
    )
    record: bool = Field(False, description="keep the audio of finished calls")
    recording_max_mb: int = Field(1000, ge=1, description="how large a recording may be that is sent in or fetched")
    recordings_waiting: int = Field(
        100,
        ge=1,
        description="recordings that may wait to be put into words; of one tenant as many as others leave free",
    )
    requests_per_minute: int = Field(
        1200, ge=0, description="requests with one API key or token, beside media; 0 is any number"
    )
    tenant_max_calls: int | None = Field(
        None, ge=1, description="calls at once of one tenant, when it may not have all of them"
    )
    tenant_max_webhooks: int = Field(100, ge=0, description="webhook endpoints of one tenant")
    tenant_max_keys: int = Field(100, ge=1, description="API keys of one tenant, revoked ones not counted")
    tenant_max_readers: int = Field(200, ge=0, description="live streams (SSE, WebSocket) of one tenant at once")
    tenant_tokens_per_minute: int = Field(
        300, ge=0, description="tokens that one tenant may have made; 0 is any number"
    )
    log_format: Literal["auto", "console", "json"] = Field("auto", description="console on a terminal, else json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much is logged")
    ice_servers: SecretStr | None = Field(
        None, description="STUN and TURN servers for WebRTC, comma-separated: stun:host, turn:user:password@host"
    )
    audiosocket_port: Literal["off"] | Annotated[int, Field(ge=0, le=65535)] = Field(
        9092, description="port for Asterisk's AudioSocket, at the same host; 0 takes a free one, off opens none"
    )
    audiosocket_networks: str = Field(
        "127.0.0.0/8,::1/128",
        description="networks, comma-separated, from where AudioSocket calls may come unannounced; off = none",
    )
    rtp_ports: str = Field("40000-40999", description="UDP ports for plain RTP and SIPREC, two a leg: FIRST-LAST")
    rtp_host: str | None = Field(None, description="address that RTP ports listen on; host when unset")
    rtp_public_host: str | None = Field(
        None, description="address that RTP senders are told; where rtp_host listens when unset"
    )
    sip_port: int = Field(0, ge=0, le=65535, description="SIPREC over UDP and TCP, on rtp_host; 0 is off")
    sip_sources: str | None = Field(
        None, description="hosts and networks, comma-separated, that may record over SIPREC: signalling and media"
    )
    twilio_auth_token: SecretStr | None = Field(None, description="turns on the check of X-Twilio-Signature")
    signalwire_signing_key: SecretStr | None = Field(
        None, description="turns on the check of X-SignalWire-Signature on webhooks"
    )
    telnyx_public_key: str | None = Field(None, description="turns on the check of Telnyx's signature on webhooks")
    plivo_auth_token: SecretStr | None = Field(None, description="turns on the check of X-Plivo-Signature-V3")
    vonage_signature_secret: SecretStr | None = Field(None, description="turns on the check of Vonage's signed JWT")
    genesys_client_secret: SecretStr | None = Field(
        None, description="turns on the check of AudioHook's signatures: the integration's client secret, in base64"
    )
    speech_hangover_ms: int = Field(500, ge=100, le=5000, description="silence that ends a stretch of speech")
    idle_timeout_s: float = Field(30, gt=0, description="a media socket that says nothing for so long ends its call")
    resume_grace_s: float = Field(
        1.0, ge=0, description="how long a call whose line broke off without a word waits for its carrier to come back"
    )
    start_timeout_s: float = Field(10, gt=0, description="how long a media socket may take to start its stream")
    drain_grace_s: float = Field(
        20, ge=0, description="how long calls in progress may run on once the server is to stop"
    )

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        if url.scheme not in {"http", "https"} or not url.netloc or url.query or url.fragment:
            raise ValueError("must look like https://calls.example.org")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("telnyx_public_key")
    @classmethod
    def _telnyx_public_key(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            size = len(base64.b64decode(value, validate=True))
        except ValueError:
            size = 0
        if size != ED25519_KEY_BYTES:
            raise ValueError("must be the public key from Telnyx's portal: 32 bytes in base64")
        return value

    @field_validator("genesys_client_secret")
    @classmethod
    def _genesys_client_secret(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            base64.b64decode(value.get_secret_value() if value else "", validate=True)
        except ValueError:
            raise ValueError("must be the client secret from Genesys Cloud: base64") from None
        return value

    @field_validator("ice_servers")
    @classmethod
    def _ice_servers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            ice_servers(value.get_secret_value())
        return value

    @field_validator("rtp_ports")
    @classmethod
    def _rtp_ports(cls, value: str) -> str:
        first, dash, last = value.partition("-")
        if not (dash and first.isdecimal() and last.isdecimal() and 1024 <= int(first) < int(last) <= 65535):
            raise ValueError("must be like 40000-40999, from 1024 to 65535")
        return value

    @field_validator("sip_sources")
    @classmethod
    def _sip_sources(cls, value: str | None) -> str | None:
        for network in (value or "").split(","):
            if network.strip():
                ipaddress.ip_network(network.strip(), strict=False)  # a ValueError says what is wrong with it
        return value

    @property
    def sip_networks(self) -> list[str]:
        """`sip_sources`, one by one."""
        return [network.strip() for network in (self.sip_sources or "").split(",") if network.strip()]

    @model_validator(mode="after")
    def _sip_needs_sources(self) -> Settings:
        if self.sip_port and not self.sip_networks:
            raise ValueError(
                "sip_port is open to nobody: set sip_sources, the addresses of your session border controllers"
            )
        return self

    @property
    def rtp_port_range(self) -> range:
        """The even ones: RTP's, each with RTCP's above it (RFC 3550 §11)."""
        first, _, last = self.rtp_ports.partition("-")
        return range(int(first) + int(first) % 2, int(last), 2)

    @field_validator("audiosocket_networks")
    @classmethod
    def _audiosocket_networks(cls, value: str) -> str:
        networks_of(value)  # a ValueError says what is wrong with it
        return value

    @field_validator("events_url")
    @classmethod
    def _events_url(cls, value: str) -> str:
        if not value.startswith(("memory://", "redis://", "rediss://")):
            raise ValueError("must begin with memory:// or redis://")
        return value

    @field_validator("max_calls")
    @classmethod
    def _max_calls(cls, value: Literal["auto"] | int) -> Literal["auto"] | int:
        if value != "auto" and value < 1:
            raise ValueError("must be auto, or 1 or more")
        return value

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> Settings:
        if self.auth == "off" and not is_loopback(self.host):
            raise ValueError(
                f"auth=off only binds to loopback, and host is {self.host}: set auth=required or host=127.0.0.1"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before environment before TOML."""
        del dotenv_settings, file_secret_settings
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


def load(config: Path | None = None, **given: Any) -> Settings:
    """Settings from the environment, a TOML file and `given` (strongest). Raises SetupError that lists every fault."""
    if config is not None and not config.is_file():
        raise SetupError(f"no such settings file: {config}")

    try:
        return _from_file(config)(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        faults = [_fault(found) for found in error.errors()]  # type: ignore[arg-type]  # ErrorDetails is a mapping
        raise SetupError("settings:\n" + "\n".join(f"  - {fault}" for fault in faults)) from None
    except (ValueError, RecursionError) as error:  # a TOML file that does not parse, or nests by the hundred
        raise SetupError(f"settings file {config}: {error}") from None


@cache
def _from_file(config: Path | None) -> type[Settings]:
    """Settings that read `config` whenever one is made; the class itself takes longer to make than all of them."""

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    return FromFile


def _fault(found: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in found["loc"]) or "settings"
    message = str(found["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{where.upper()}: {message}" if found["loc"] else message


def networks_of(listed: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Addresses and networks, comma-separated; `off` is none. Raises ValueError for what is neither."""
    items = [] if listed.strip().lower() == "off" else [item.strip() for item in listed.split(",")]
    return tuple(ipaddress.ip_network(item, strict=False) for item in items if item)


def is_loopback(host: str) -> bool:
    """Whether binding to `host` is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
