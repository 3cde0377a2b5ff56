"""What services ask each other and the gateway asks them; one module per answering service."""

from modelyard_contracts.calls.call import Call as Call
