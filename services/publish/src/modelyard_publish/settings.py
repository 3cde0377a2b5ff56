"""What an operator can set of the publish service: nothing beside what every service has."""

from modelyard_runtime.settings import ServiceSettings


class PublishSettings(ServiceSettings):
    pass
