"""The framing of event files against TensorBoard's own reader, and what becomes of damaged files."""

import pytest
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

from bakeoff.tensorboard.tfrecord import encode_record, read_records

RECORDS = [b"", b"one", bytes(range(256)) * 300]


def test_tensorboard_reads_what_is_written(tmp_path):
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(map(encode_record, RECORDS)))
    assert list(RawEventFileLoader(str(path)).Load()) == RECORDS


def test_what_is_written_is_read():
    assert list(read_records(b"".join(map(encode_record, RECORDS)))) == RECORDS
    assert list(read_records(b"")) == []


@pytest.mark.parametrize("length", range(1, len(encode_record(b"three"))))
def test_a_record_that_is_cut_short_ends_the_reading(length):
    content = encode_record(b"one") + encode_record(b"three")[:length]
    assert list(read_records(content)) == [b"one"]


@pytest.mark.parametrize("position", range(len(encode_record(b"two"))))
def test_a_damaged_byte_ends_the_reading(position):
    damaged = bytearray(encode_record(b"two"))
    damaged[position] ^= 1
    assert list(read_records(encode_record(b"one") + bytes(damaged) + encode_record(b"three"))) == [b"one"]
