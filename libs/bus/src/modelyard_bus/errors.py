"""What can go wrong between a service and NATS. Refusals of a service travel as `Failure` instead."""


class BusError(Exception):
    """Base of this package's errors."""


class Unreachable(BusError):
    """The first connection could not be made: nobody listens, or the password is wrong."""


class NotDeclared(BusError):
    """A stream or durable is missing; the operator runs `python -m modelyard_bus.declare`."""


class PublishFailed(BusError):
    """JetStream did not acknowledge. The message may or may not be stored: publish again under the same id."""


class MessageTooLarge(PublishFailed):
    """Never sent: an oversized message would make the server close the connection for good."""


class NoSuchDeadLetter(BusError):
    """It was dropped, replayed or has aged out."""
