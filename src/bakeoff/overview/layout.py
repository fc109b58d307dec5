"""The layout of TensorBoard's Custom Scalars dashboard: bands of all arms over each other, one category an axis.

Built from TensorBoard's own protos, since its `custom_scalar.summary` needs TensorFlow and torch's writer needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

from bakeoff.overview.axes import AXES, Axis, band_tag

SERIES = layout_pb2.MarginChartContent.Series


def custom_scalars(metrics: Sequence[str]) -> Summary:
    """A margin chart for each metric and axis: mean, low and high; and how many seeds each point rests on."""
    categories = [_bands(axis, metrics) for axis in AXES]
    # arms of one seed have no interval, and no margin chart draws them
    categories.append(_lines("means alone", {metric: band_tag(metric, AXES[0], "mean") for metric in metrics}))
    categories.append(_lines("seeds in each mean", {metric: band_tag(metric, AXES[0], "seeds") for metric in metrics}))
    layout = layout_pb2.Layout(category=categories)
    tensor = TensorProto(dtype="DT_STRING", string_val=[layout.SerializeToString()], tensor_shape=TensorShapeProto())
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME)
    value = Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, tensor=tensor, metadata=SummaryMetadata(plugin_data=plugin))
    return Summary(value=[value])


def _bands(axis: Axis, metrics: Sequence[str]) -> layout_pb2.Category:
    charts = []
    for metric in reversed(metrics):  # TensorBoard shows margin charts from the last to the first
        mean, low, high = (band_tag(metric, axis, part) for part in ("mean", "low", "high"))
        series = SERIES(value=mean, lower=low, upper=high)
        charts.append(layout_pb2.Chart(title=metric, margin=layout_pb2.MarginChartContent(series=[series])))
    return layout_pb2.Category(title=f"against {axis.title}", chart=charts, closed=axis is not AXES[0])


def _lines(title: str, tags: Mapping[str, str]) -> layout_pb2.Category:
    charts = [
        layout_pb2.Chart(title=metric, multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$"]))
        for metric, tag in tags.items()
    ]
    return layout_pb2.Category(title=title, chart=charts, closed=True)
