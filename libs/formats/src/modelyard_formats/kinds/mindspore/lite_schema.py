"""Positions and names from MindSpore Lite's published schema (schema/model.fbs and ops.fbs). Used by its format."""


class MetaGraph:
    NAME, VERSION, _, INPUTS, OUTPUTS, _, NODES, TENSORS, SUBGRAPHS = range(9)


class Node:
    NAME, _, PRIMITIVE = range(3)


class Tensor:
    NODE_TYPE, TYPE, DIMS, _, _, _, DATA, QUANTISATION, _, NAME, PACKED, COMPRESSION, OUTSIDE = range(13)


class Outside:
    _, LOCATION, OFFSET, LENGTH = range(4)


# TypeId → (numpy's or ml_dtypes' name, bytes of one element; 0 where there is no such size)
ELEMENTS = {
    12: ("object", 0), 30: ("bool", 1), 32: ("int8", 1), 33: ("int16", 2), 34: ("int32", 4), 35: ("int64", 8),
    37: ("uint8", 1), 38: ("uint16", 2), 39: ("uint32", 4), 40: ("uint64", 8), 42: ("float16", 2), 43: ("float32", 4),
    44: ("float64", 8), 45: ("bfloat16", 2),
}  # fmt: skip
# union PrimitiveType, in its order; 0 is none of them
OPERATORS = tuple(
    (  # noqa: SIM905 - a list of so many quoted names is harder to read
        "- Abs Activation ActivationGrad Adam AddFusion AdderFusion AddGrad AddN All ApplyMomentum ArgMaxFusion "
        "ArgMinFusion Assert Assign AssignAdd AudioSpectrogram AvgPoolFusion AvgPoolGrad BatchNorm BatchNormGrad "
        "BatchToSpace BatchToSpaceND BiasAdd BinaryCrossEntropy BinaryCrossEntropyGrad BiasAddGrad BroadcastTo Cast "
        "Ceil Clip Concat Attention Conv2DBackpropFilterFusion Conv2DBackpropInputFusion Conv2DFusion "
        "Conv2dTransposeFusion Cos ConstantOfShape Crop CustomExtractFeatures CustomNormalize CustomPredict "
        "DeConv2DGradFilter Depend DepthToSpace DetectionPostProcess DivFusion DivGrad Dropout DropoutGrad Elu "
        "Eltwise Equal EmbeddingLookupFusion ExpFusion ExpandDims FakeQuantWithMinMaxVars "
        "FakeQuantWithMinMaxVarsPerChannel FftReal FftImag Flatten FlattenGrad Floor FloorDiv FloorMod Fill "
        "FullConnection FusedBatchNorm Gather GatherNd Greater GreaterEqual HashtableLookup InstanceNorm "
        "LayerNormFusion LeakyRelu Less LessEqual Log LogGrad LogicalAnd LogicalNot LogicalOr LpNormalization LRN "
        "LshProjection LSTM L2NormalizeFusion MatMulFusion Maximum MaximumGrad MaxPoolFusion MaxPoolGrad SwitchLayer "
        "Mfcc Minimum MinimumGrad Mod MulFusion MulGrad Neg NegGrad NotEqual NonMaxSuppression OneHot OnesLike "
        "PadFusion PartialFusion PowerGrad PowFusion PriorBox PReLUFusion QuantDTypeCast Rank Range Reciprocal "
        "RealDiv ReduceFusion Reshape Resize ReverseSequence ReverseV2 Rfft ROIPooling Round Rsqrt ScaleFusion "
        "ScatterNd SGD Shape SigmoidCrossEntropyWithLogits SigmoidCrossEntropyWithLogitsGrad Sin SkipGram SliceFusion "
        "SmoothL1Loss SmoothL1LossGrad Softmax SoftmaxCrossEntropyWithLogits SpaceToBatch SpaceToBatchND SpaceToDepth "
        "SparseSoftmaxCrossEntropyWithLogits SparseToDense Split Sqrt Squeeze Square SquaredDifference Stack "
        "StridedSlice SubFusion SubGrad Switch TensorListFromTensor TensorListGetItem TensorListReserve "
        "TensorListSetItem TensorListStack TileFusion TopKFusion Transpose Unique UnsortedSegmentSum Unsqueeze "
        "Unstack LSTMGrad Where ZerosLike Select ScatterNdUpdate GRU NonZero InvertPermutation Size "
        "RandomStandardNormal CropAndResize Erf StridedSliceGrad IsFinite LinSpace UniformReal AbsGrad RsqrtGrad "
        "SqrtGrad LayerNormGrad ResizeGrad Splice LogSoftmax Call Custom CumSum SplitWithOverlap GenOP RaggedRange "
        "GLU TensorArray TensorArrayRead TensorArrayWrite Affine AllGather ReduceScatter DynamicQuant LSTMGradData "
        "LSTMGradWeight RandomNormal NLLLoss NLLLossGrad FormatTranspose GatherD GroupNormFusion Log1p "
        "TensorScatterAdd SparseFillEmptyRows SparseReshape SparseSegmentSum ScatterElements Triu Tril "
        "AdamWeightDecay FillV2"
    ).split()
)
