"""Where bulk can lie in TensorFlow's protobuf files, by the field numbers of its schemas. Imports no protobuf.

Used by `tensorflow.files`, which reads such files, and by `skim`, which leaves the bulk behind on its way.
"""

from modelyard_formats.wire.protobuf_scan import Kind

# saved_model.proto, meta_graph.proto, graph.proto, function.proto, node_def.proto, attr_value.proto
KINDS = {
    "SavedModel": Kind("SavedModel", {2: "MetaGraph"}),
    "MetaGraph": Kind("MetaGraphDef", {1: "MetaInfo", 2: "Graph", 5: "SignatureEntry", 7: "Objects"}),
    "MetaInfo": Kind("MetaInfoDef"),
    "SignatureEntry": Kind("SignatureDefEntry", {2: "Signature"}),
    "Signature": Kind("SignatureDef"),
    "Objects": Kind("SavedObjectGraph", {1: "Object"}),
    "Object": Kind("SavedObject", {4: "UserObject"}),
    "UserObject": Kind("SavedUserObject", whole=frozenset({3})),  # how Keras describes a layer, code included
    "Graph": Kind("GraphDef", {1: "Node", 2: "Library"}),
    "Library": Kind("FunctionDefLibrary", {1: "Function"}),
    "Function": Kind("FunctionDef", {1: "Operator", 3: "Node"}),
    "Operator": Kind("OpDef"),
    "Node": Kind("NodeDef", {5: "AttributeEntry"}),
    "AttributeEntry": Kind("AttrEntry", {2: "Attribute"}),
    "Attribute": Kind("AttrValue", {1: "List", 8: "Tensor", 10: "Called"}),
    "List": Kind("ListValue", {9: "Called"}),
    "Called": Kind("NameAttrList"),
    "Tensor": Kind("TensorProto"),
}
