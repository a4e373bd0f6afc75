"""What a file says, and every way of not saying it: each complaint with its place."""

import io
from datetime import UTC, datetime, timedelta

import pyarrow
import pyarrow.parquet
import pytest

from agents.recordings.errors import BadRecording
from agents.recordings.mapping import UCI_OCCUPANCY, read_mapping
from agents.recordings.recording import read_recording
from schemas.records import Kind
from tests.recordings import DATATEST, uci_rows

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAPPING = """
time: {column: when, zone: Europe/Brussels}
columns:
  T: {kind: temperature_c}
  H: {kind: humidity_pct, unit: fraction}
  moved: {kind: motion}
missing: ["-"]
"""
HEADER = "when,T,H,moved,note\n"
MISSING = "; is it missing? name it in the mapping's `missing`"
UNIT = ": is the unit right?"
GOOD = "2025-02-03 12:00:00,21.5,0.4,1,ok\n"


def read(text, mapping=MAPPING):
    data = text if isinstance(text, bytes) else text.encode()
    return read_recording("f.csv", data, read_mapping(mapping, "m.yaml"), NOW)


def complaints(text, mapping=MAPPING):
    with pytest.raises(BadRecording) as refused:
        read(text, mapping)
    return [(each.line, each.column, each.what) for each in refused.value.complaints]


def test_the_uci_file_reads_as_it_stands_in_local_time_with_an_unnamed_first_column():
    recording = read_recording("datatest.txt", DATATEST.read_bytes(), UCI_OCCUPANCY, NOW)
    kinds = [kind.value for kind in recording.kinds]
    assert [(row.at, dict(zip(kinds, row.values, strict=True))) for row in recording.rows] == uci_rows()
    assert recording.rows[0].at == datetime(2015, 2, 2, 13, 19, tzinfo=UTC)
    assert recording.unread == ("HumidityRatio",)


def test_a_row_becomes_readings_in_the_units_of_their_kinds_and_a_missing_cell_none():
    recording = read(HEADER + GOOD + "2025-02-03T12:01,-,0.455,no,\n")
    first, second = (row.readings(recording.kinds, 7) for row in recording.rows)
    assert [(r.device_id, r.kind, r.value) for r in first] == [
        (7, Kind.temperature_c, 21.5),
        (7, Kind.humidity_pct, 40.0),
        (7, Kind.motion, 1.0),
    ]
    assert [(r.kind, r.value, r.at) for r in second] == [
        (Kind.humidity_pct, 45.5, datetime(2025, 2, 3, 11, 1, tzinfo=UTC)),
        (Kind.motion, 0.0, datetime(2025, 2, 3, 11, 1, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("2025-02-03 12:00:00,abc,0.4,1,ok\n", [(2, 2, "'abc' is not a number")]),
        ("2025-02-03 12:00:00,,0.4,1,ok\n", [(2, 2, "'' is not a number" + MISSING)]),
        ("2025-02-03 12:00:00,nan,0.4,1,ok\n", [(2, 2, "'nan' is not a number" + MISSING)]),
        ("2025-02-03 12:00:00,300,0.4,1,ok\n", [(2, 2, "300 degC is temperature_c = 300, possible are -60 to 85" + UNIT)]),
        ("2025-02-03 12:00:00,20,40,1,ok\n", [(2, 3, "40 fraction is humidity_pct = 4000, possible are 0 to 100" + UNIT)]),
        ("2025-02-03 12:00:00,20,0.4,0.5,ok\n", [(2, 4, "0.5 is neither 0 nor 1 (numbers of people: `unit: count`)")]),
        ("2025-02-03 12:00:00,20,0.4,2,ok\n", [(2, 4, "2 flag is motion = 2, possible are 0 to 1" + UNIT)]),
        ("yesterday,20,0.4,1,ok\n", [(2, 1, "'yesterday' is not a time of the form iso")]),
        (GOOD + GOOD, [(3, 1, "2025-02-03 12:00:00 is not after the row before: a recording's time goes forward")]),
        ("2027-02-03 12:00:00,20,0.4,1,ok\n", [(2, 1, "2027-02-03T11:00:00Z has not come yet")]),
        ("2025-03-30 02:30:00,20,0.4,1,ok\n",
         [(2, 1, "2025-03-30 02:30:00 was skipped when the clocks of Europe/Brussels went forward")]),
        (GOOD + "2025-02-03 12:01:00,20,0.4\n", [(3, 4, "3 cells where the header has 5: is the line cut off?")]),
        (GOOD + "2025-02-03 12:01:00,20,0.4,1,x,y,z\n", [(3, 6, "7 cells where the header has 5")]),
        ("1," + GOOD, [(2, 6, "6 cells where the header has 5 (if the first is a row number without a name,"
                              " say `row_names: true` in the mapping)")]),
        (GOOD[:-1], [(2, 34, "the file ends in mid-line: truncated? If it is whole, end its last line,"
                             " or say `open_end: true` in the mapping")]),
        (GOOD + '2025-02-03 12:01:00,"20"x,0.4,1,ok\n', [(3, 2, "not CSV: ',' expected after '\"'")]),
        (GOOD + '2025-02-03 12:01:00,20,"0.4,1,ok\n', [(3, 3, "not CSV: unexpected end of data")]),
        ("", [(2, 1, "there are no rows under the header")]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row_is_told_with_line_and_column(rows, expected):
    assert complaints(HEADER + rows) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(1, 1, "the file is empty: there is no header")]),
        ("when,T,moved\n" + GOOD, [(1, 1, "there is no column 'H', there are when, T, moved")]),
        ("when,T,T,H,moved\n", [(1, 1, "there are 2 columns 'T'")]),
        (HEADER.encode() + b"2025-02-03 12:00:00,2\xb0,0.4,1,ok\n", [(2, 22, "byte 0xb0 is not UTF-8")]),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_line_and_column(text, expected):
    assert complaints(text) == expected


def test_every_error_is_told_up_to_twenty_in_the_order_of_the_file():
    lines = [f"2025-02-03 12:{minute:02}:00,x,0.4,y,\n" for minute in range(15)]
    found = complaints(HEADER + "".join(lines))
    assert [place[:2] for place in found] == [(2 + i // 2, 2 + 2 * (i % 2)) for i in range(20)]
    with pytest.raises(BadRecording, match=r"f.csv: the first 20 errors, nothing was fed\n  line 2, column 2 \(T\): 'x' is not"):
        read(HEADER + "".join(lines))


def test_the_hour_that_comes_twice_in_autumn_is_told_apart_by_the_order_of_rows():
    rows = [f"2025-10-26 {time}:00,20,0.4,1,\n" for time in ("01:30", "02:00", "02:30", "02:00", "02:30", "03:00")]
    half = timedelta(minutes=30)
    assert [row.at for row in read(HEADER + "".join(rows)).rows] == [
        datetime(2025, 10, 25, 23, 30, tzinfo=UTC) + number * half for number in range(6)
    ]


def test_times_may_carry_their_offset_or_count_from_1970():
    rows = "2025-02-03T12:00:00+05:30,20,0.4,1,\n2025-02-03T06:31:00Z,20,0.4,1,\n"
    assert [row.at.hour for row in read(HEADER + rows).rows] == [6, 6]
    at = datetime(2025, 2, 3, 6, 30, tzinfo=UTC)
    for unit, factor in (("unix_s", 1), ("unix_ms", 1000)):
        mapping = f"time: {{column: when, format: {unit}}}\ncolumns: {{T: {{kind: temperature_c}}}}\n"
        assert read(f"when,T\n{int(at.timestamp() * factor)},20\n", mapping).rows[0].at == at
    bare = "time: {column: when}\ncolumns: {T: {kind: temperature_c}}\n"
    assert complaints(HEADER + GOOD, bare) == [
        (2, 1, "2025-02-03 12:00:00 has no offset: say in the mapping's `time` which `zone` it is local to")
    ]


@pytest.mark.parametrize(
    ("kind", "unit", "said", "meant"),
    [
        ("temperature_c", "degF", "68", 20.0),
        ("temperature_c", "K", "293.15", 20.0),
        ("humidity_pct", "fraction", "0.5", 50.0),
        ("illuminance_lx", "klx", "1.5", 1500.0),
        ("illuminance_lx", "fc", "10", 107.63910416709722),
        ("co2_ppm", "pct", "0.04", 400.0),
        ("occupancy_reference", "count", "3", 1.0),
        ("occupancy_reference", "flag", "true", 1.0),
    ],
)
def test_units_are_converted_to_the_kinds_own(kind, unit, said, meant):
    mapping = f"time: {{column: t, zone: UTC}}\ncolumns: {{v: {{kind: {kind}, unit: {unit}}}}}\n"
    assert read(f"t,v\n2025-02-03 12:00,{said}\n", mapping).rows[0].values == (pytest.approx(meant),)


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ("time: {column: t, zone: Mars/North}\ncolumns: {v: {kind: motion}}\n",
         [(1, 25, "'Mars/North' is not an IANA time zone such as Europe/Zurich")]),
        ("time: {column: t}\ncolumns:\n  v: {kind: temperature_c, unit: lux}\n",
         [(3, 34, "temperature_c has no unit 'lux': give degC or degF or K")]),
        ("time: {column: t}\ncolumns:\n  v: {kind: warmth}\n", [(3, 13, "Invalid enum value 'warmth'")]),
        ("time: {column: t}\ncolumns:\n  v: {kind: valve_pct}\n",
         [(3, 13, "valve_pct cannot be recorded: give one of temperature_c, humidity_pct, illuminance_lx, co2_ppm, motion,"
                  " occupancy_reference, battery_pct")]),
        ("time: {column: t}\ncolumns:\n  v: {kind: motion}\n  w: {kind: motion}\n",
         [(4, 13, "motion comes from column 'v' already")]),
        ("time: {column: t}\ncolums: {}\n", [(2, 1, "Object contains unknown field `colums`")]),
        ("time: {colum: t}\ncolumns: {v: {kind: motion}}\n", [(1, 8, "Object contains unknown field `colum`")]),
        ("time: [\n", [(2, 1, "not YAML: expected the node content, but found '<stream end>'")]),
        ("", [(1, 1, "Expected `object`, got `null`")]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_mapping_is_told_with_line_and_column(mapping, expected):
    with pytest.raises(BadRecording) as refused:
        read_mapping(mapping, "m.yaml")
    assert [(each.line, each.column, each.what) for each in refused.value.complaints] == expected


def parquet(**columns):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def test_parquet_is_read_with_its_own_types_and_complains_by_row():
    when = [datetime(2025, 2, 3, 12, minute) for minute in (0, 1)]  # noqa: DTZ001  # local, as such files have it
    recording = read(parquet(when=when, T=[20.5, None], H=[0.4, 0.5], moved=[True, False]))
    assert [(row.at.hour, row.values) for row in recording.rows] == [(11, (20.5, 40.0, 1.0)), (11, (None, 50.0, 0.0))]
    broken = parquet(when=when, T=[20.5, 999.0], H=[0.4, 0.5], moved=[True, False])
    assert complaints(broken) == [(2, 2, "999.0 degC is temperature_c = 999, possible are -60 to 85" + UNIT)]
    with pytest.raises(BadRecording, match="row 2, column 2"):
        read(broken)
    with pytest.raises(BadRecording, match="not a whole Parquet file"):
        read(broken[:-20])
