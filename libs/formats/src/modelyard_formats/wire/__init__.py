"""How bytes lie in a file, whatever model they are: protobuf, FlatBuffers, zip members, packed bytes."""
