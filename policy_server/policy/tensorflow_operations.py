"""The operations of TensorFlow that are run: arithmetic, drawing, and the reading of variables.

What is not listed is refused by name: files, tables from files, Python, printing, other machines,
data sets, queues, texts, pictures that are decoded, and whatever changes a variable.
"""

ELEMENTWISE = (
    "Abs AccumulateNV2 Acos Acosh Add AddN AddV2 Angle ApproximateEqual Asin Asinh Atan Atan2 "
    "Atanh BesselI0 BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 "
    "BesselK1e BesselY0 BesselY1 Betainc BiasAdd BiasAddV1 Bitcast BitwiseAnd BitwiseOr BitwiseXor "
    "Bucketize Cast Ceil CheckNumerics ClipByValue Complex ComplexAbs Conj Cos Cosh Dawsn Digamma "
    "Div DivNoNan Elu Equal Erf Erfc Erfinv Exp Expint Expm1 FakeQuantWithMinMaxArgs "
    "FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel Floor FloorDiv FloorMod FresnelCos "
    "FresnelSin Greater GreaterEqual Igamma Igammac Imag Inv Invert IsFinite IsInf IsNan LeakyRelu "
    "LeftShift Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod "
    "Mul MulNoNan Ndtri Neg NextAfter NotEqual Polygamma PopulationCount Pow "
    "QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 "
    "QuantizeAndDequantizeV4 Real RealDiv Reciprocal Relu Relu6 RightShift Rint Round Rsqrt Select "
    "SelectV2 Selu Sigmoid Sign Sin Sinh Softplus Softsign Spence Sqrt Square SquaredDifference "
    "Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta"
)
REDUCING = (
    "All Any ArgMax ArgMin Bincount Cumprod Cumsum CumulativeLogsumexp DenseBincount EuclideanNorm "
    "HistogramFixedWidth InTopK InTopKV2 L2Loss LogSoftmax Max Mean Min NthElement Prod SegmentMax "
    "SegmentMaxV2 SegmentMean SegmentMin SegmentMinV2 SegmentProd SegmentProdV2 SegmentSum "
    "SegmentSumV2 Softmax SoftmaxCrossEntropyWithLogits SparseSoftmaxCrossEntropyWithLogits Sum "
    "TopK TopKV2 UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum"
)
LAYERS = (
    "AvgPool AvgPool3D BatchMatMul BatchMatMulV2 BatchMatMulV3 BatchNormWithGlobalNormalization "
    "BlockLSTM BlockLSTMV2 Conv Conv2D Conv2DBackpropInput Conv2DBackpropInputV2 Conv3D "
    "Conv3DBackpropInput Conv3DBackpropInputV2 DepthwiseConv2dNative "
    "DepthwiseConv2dNativeBackpropInput Dilation2D Einsum FusedBatchNorm FusedBatchNormV2 "
    "FusedBatchNormV3 FusedPadConv2D GRUBlockCell LRN LSTMBlockCell MatMul MaxPool MaxPool3D "
    "MaxPoolV2 MaxPoolWithArgmax"
)
LINEAR_ALGEBRA = (
    "BandedTriangularSolve Cholesky Diag DiagPart LogMatrixDeterminant Lu MatrixBandPart "
    "MatrixDeterminant MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 "
    "MatrixDiagV3 MatrixExponential MatrixInverse MatrixLogarithm MatrixSetDiag MatrixSetDiagV2 "
    "MatrixSetDiagV3 MatrixSolve MatrixSolveLs MatrixSquareRoot MatrixTriangularSolve Qr "
    "SelfAdjointEig SelfAdjointEigV2 Svd TridiagonalMatMul TridiagonalSolve"
)
SHAPING = (
    "BatchToSpace BatchToSpaceND BroadcastArgs BroadcastGradientArgs BroadcastTo Concat "
    "ConcatOffset ConcatV2 ConjugateTranspose Const CropAndResize DataFormatDimMap "
    "DataFormatVecPermute DepthToSpace DynamicPartition DynamicStitch EnsureShape ExpandDims "
    "ExtractImagePatches Fill Gather GatherNd GatherV2 GuaranteeConst InplaceAdd InplaceSub "
    "InplaceUpdate InvertPermutation LinSpace ListDiff LowerBound MirrorPad OneHot OnesLike Pack "
    "Pad PadV2 ParallelConcat ParallelDynamicStitch Range Rank Reshape ResizeArea ResizeBicubic "
    "ResizeBilinear ResizeNearestNeighbor Reverse ReverseSequence ReverseV2 Roll ScatterNd "
    "ScatterNdNonAliasingAdd Shape ShapeN Size Slice Snapshot SpaceToBatch SpaceToBatchND "
    "SpaceToDepth SparseToDense Split SplitV Squeeze StridedSlice TensorScatterAdd "
    "TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate "
    "TensorStridedSliceUpdate Tile Transpose Unique UniqueV2 UniqueWithCounts UniqueWithCountsV2 "
    "Unpack UnravelIndex UpperBound Where ZerosLike"
)
LISTS = (
    "EmptyTensorList TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayReadV3 "
    "TensorArrayScatterV3 TensorArraySizeV3 TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3 "
    "TensorListConcat TensorListConcatLists TensorListConcatV2 TensorListElementShape "
    "TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack "
    "TensorListPushBack TensorListPushBackBatch TensorListReserve TensorListResize "
    "TensorListScatter TensorListScatterIntoExistingList TensorListScatterV2 TensorListSetItem "
    "TensorListSplit TensorListStack"
)
DRAWING = (
    "Multinomial NonDeterministicInts ParameterizedTruncatedNormal RandomGamma RandomPoisson "
    "RandomPoissonV2 RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt "
    "RngReadAndSkip RngSkip StatefulRandomBinomial StatefulStandardNormal StatefulStandardNormalV2 "
    "StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt StatefulUniformInt "
    "StatelessMultinomial StatelessParameterizedTruncatedNormal StatelessRandomBinomial "
    "StatelessRandomGammaV2 StatelessRandomGammaV3 StatelessRandomGetAlg "
    "StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormal "
    "StatelessRandomNormalV2 StatelessRandomPoisson StatelessRandomUniform "
    "StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 StatelessRandomUniformInt "
    "StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessShuffle "
    "StatelessTruncatedNormal StatelessTruncatedNormalV2 TruncatedNormal"
)
READING = (
    "DisableCopyOnRead HashTableV2 IsVariableInitialized LookupTableFindV2 LookupTableSizeV2 "
    "ReadVariableOp ResourceGather ResourceGatherNd VarHandleOp VarIsInitializedOp Variable "
    "VariableShape VariableV2"
)
CONTROL = (
    "Assert Case ControlTrigger Enter Exit Identity IdentityN If LoopCond Merge NextIteration NoOp "
    "PartitionedCall Placeholder PlaceholderV2 PlaceholderWithDefault PreventGradient RefEnter "
    "RefExit RefIdentity RefMerge RefNextIteration RefSwitch StatefulPartitionedCall StatelessCase "
    "StatelessIf StatelessWhile StopGradient Switch While"
)
RUN = frozenset(
    f"{ELEMENTWISE} {REDUCING} {LAYERS} {LINEAR_ALGEBRA} {SHAPING} {LISTS} {DRAWING} {READING} "
    f"{CONTROL}".split()
)
"""What leads from observations to outputs."""

LOADING = (
    "Assign AssignVariableOp Cast Const DisableCopyOnRead HashTable HashTableV2 Identity "
    "IdentityN LookupTableImportV2 NoOp Pack PartitionedCall Placeholder PlaceholderWithDefault "
    "ReadVariableOp Reshape RestoreV2 StatefulPartitionedCall VarHandleOp VarIsInitializedOp "
    "Variable VariableV2"
)
LOADED = frozenset(LOADING.split())
"""What gives variables and tables the numbers that lie in the SavedModel itself."""

SHAPES = frozenset(
    ["Rank", "Shape", "ShapeN", "Size", "TensorArraySizeV3", "TensorListLength", "VariableShape"]
)
"""Their outputs follow from shapes, whatever the numbers are."""
FILLED = frozenset(["OnesLike", "ZerosLike"])
"""As large as their input, and the same whatever its numbers are."""

EVERY = (0, 1, 2, 3)
RESIZING = "ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor"
COUNTED = "Bincount DenseBincount FusedPadConv2D OneHot TensorListResize"
SIZED_BY: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        ["Fill", "RandomGamma", "RandomPoisson", "RandomPoissonV2", "RandomStandardNormal"], (0,)
    ),
    **dict.fromkeys(
        ["RandomUniform", "RandomUniformInt", "TruncatedNormal", "NonDeterministicInts"], (0,)
    ),
    **dict.fromkeys(["ParameterizedTruncatedNormal", "TensorArrayV3"], (0,)),
    **dict.fromkeys((name for name in DRAWING.split() if name.startswith("Stateless")), (0,)),
    **dict.fromkeys((name for name in DRAWING.split() if name.startswith("Stateful")), (1, 2)),
    **dict.fromkeys(["Range", "LinSpace", "EmptyTensorList", "TensorListReserve"], EVERY),
    **dict.fromkeys(["BroadcastTo", "MirrorPad", "Multinomial", "Pad", "PadV2", "Tile"], (1,)),
    **dict.fromkeys(RESIZING.split(), (1,)),
    **dict.fromkeys(COUNTED.split(), (1,)),
    **dict.fromkeys((name for name in REDUCING.split() if name.startswith("Segment")), (1,)),
    **dict.fromkeys((name for name in REDUCING.split() if name.startswith("Unsorted")), (2,)),
    **dict.fromkeys(
        ["TensorListSetItem", "TensorListScatter", "TensorArrayWriteV3", "SparseToDense"], (1,)
    ),
    **dict.fromkeys(["MatrixDiagV2", "MatrixDiagV3"], (1, 2, 3)),
    **dict.fromkeys(["TensorListScatterV2", "TensorListScatterIntoExistingList"], (1, 2, 3)),
    **dict.fromkeys(["Conv2DBackpropInput", "Conv3DBackpropInputV2"], (0,)),
    "CropAndResize": (3,),
    "HistogramFixedWidth": (2,),
    "DepthwiseConv2dNativeBackpropInput": (0,),
    "ScatterNd": (2,),
    "SpaceToBatchND": (1, 2),
    "StatelessMultinomial": (1,),
    "StatelessShuffle": (),
}
"""Inputs that say how large an output is, and so must not depend on the observation."""
SIZED_BY_FIRST_HALF = frozenset(["DynamicStitch", "ParallelDynamicStitch"])
"""Likewise, of which half of the inputs are indices."""
SHAPED_BY: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        ["Split", "Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2", "Where"], (0,)
    ),
    **dict.fromkeys(["DynamicPartition", "Reshape", "TopKV2"], (1,)),
    **dict.fromkeys(["Slice", "SplitV"], (1, 2)),
    "ListDiff": (0, 1),
    "StridedSlice": (1, 2, 3),
    "TensorListSplit": (2,),
}
"""Inputs whose numbers decide the shape of an output that is no larger than the others."""
