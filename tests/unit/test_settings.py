"""Kafka's client settings mean the same to both clients, and what cannot be used is named."""

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from streams.app import _credentials
from streams.settings import BadSetting, read_settings

USER = {"KAFKA_SASL_USERNAME": "atrium", "KAFKA_SASL_PASSWORD": "secret"}


@pytest.mark.parametrize(
    ("env", "protocol", "mechanism"),
    [
        ({}, "PLAINTEXT", None),
        ({"KAFKA_SECURITY_PROTOCOL": "ssl"}, "SSL", None),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", **USER}, "SASL_PLAINTEXT", "PLAIN"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "scram-sha-256", **USER}, "SASL_SSL", "SCRAM-SHA-256"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", **USER}, "SASL_SSL", "SCRAM-SHA-512"),
    ],
)
def test_both_kafka_clients_speak_the_same_protocol(env, protocol, mechanism):
    settings = read_settings({"KAFKA_BOOTSTRAP_SERVERS": "broker:9092", **env})
    assert settings.librdkafka.get("security.protocol", "PLAINTEXT") == protocol
    assert settings.librdkafka.get("sasl.mechanism") == mechanism
    auth = credentials_to_aiokafka_auth(_credentials(settings.kafka_client))
    assert auth["security_protocol"] == protocol
    assert auth.get("sasl_mechanism") == mechanism
    if mechanism:
        assert (auth["sasl_plain_username"], auth["sasl_plain_password"]) == ("atrium", "secret")


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL='TLS': give PLAINTEXT, SSL"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "GSSAPI", **USER}, "KAFKA_SASL_MECHANISM='GSSAPI'"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD": "secret"}, "KAFKA_SASL_USERNAME is not set"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "atrium"}, "KAFKA_SASL_PASSWORD is not set"),
        ({"ATRIUM_API_PORT": "http"}, "ATRIUM_API_PORT='http' is not a port"),
        ({"ATRIUM_SIMULATOR": "maybe"}, "ATRIUM_SIMULATOR='maybe'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_what_would_do(env, says):
    with pytest.raises(BadSetting) as refused:
        read_settings(env)
    assert str(refused.value).startswith(says)
