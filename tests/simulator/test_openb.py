"""The trace lists, the arrivals, fragmentation, and the experiment on a cluster small enough to reckon by hand."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from fairlead.cli.simulate import simulate
from fairlead.simulator.fragments import Fragments
from fairlead.simulator.inflation import Outcome, Setup, inflate, summary
from fairlead.simulator.openb import TraceError, arrivals, read_nodes, read_pods

NODES = "sn,cpu_milli,memory_mib,gpu,model\nb,64000,262144,2,T4\na,32000,262144,1,P100\n"
PODS = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"
    "p3,1000,1024,0,0,\np1,4000,1024,1,500,\np2,4000,2048,2,1000,T4|P100\np4,4000,1024,1,500,\n"
)


@pytest.fixture
def lists(tmp_path: Path) -> tuple[str, str]:
    nodes, pods = tmp_path / "nodes.csv", tmp_path / "pods.csv"
    nodes.write_text(NODES)
    pods.write_text(PODS)
    return str(nodes), str(pods)


def test_lists_become_nodes_and_requests(lists: tuple[str, str]) -> None:
    nodes, pods = read_nodes(lists[0]), read_pods(lists[1])
    assert [(str(node.name), node.gpus, node.gpu_model) for node in nodes] == [("b", 2, "T4"), ("a", 1, "P100")]
    assert [pod.name for pod in pods] == ["p1", "p2", "p3", "p4"]
    assert [pod.asked for pod in pods] == [500, 2000, 0, 500]
    assert pods[0].klass is pods[3].klass
    assert pods[1].models == ("P100", "T4")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n"])
def test_a_list_of_another_shape_is_told_what_was_expected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.csv"
    file.write_text(text)
    with pytest.raises(TraceError, match="expected the columns sn"):
        read_nodes(str(file))


def test_a_short_row_is_told_with_its_line(tmp_path: Path) -> None:
    nodes, pods = tmp_path / "nodes.csv", tmp_path / "pods.csv"
    nodes.write_text(NODES + "c,32000\n")
    pods.write_text(PODS + "p5,many,1024,1,500,\n")
    with pytest.raises(TraceError, match=r"nodes\.csv, line 4: gpu is ''; expected a whole number"):
        read_nodes(str(nodes))
    with pytest.raises(TraceError, match=r"pods\.csv, line 6: cpu_milli is 'many'"):
        read_pods(str(pods))
    done = CliRunner().invoke(simulate, ["openb", "--nodes", str(nodes), "--pods", str(pods)])
    assert (done.exit_code, "line 4" in done.output) == (2, True)


def test_a_missing_list_is_told(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read"):
        read_pods(str(tmp_path / "none.csv"))


def test_arrivals_reach_the_share_of_the_capacity_and_follow_the_seed(lists: tuple[str, str]) -> None:
    pods = read_pods(lists[1])
    order = arrivals(pods, 3000, 42, 3.0)
    assert sum(pod.asked for pod in order) >= 9000
    assert [pod.name for pod in order] == [pod.name for pod in arrivals(pods, 3000, 42, 3.0)]
    assert [pod.name for pod in order] != [pod.name for pod in arrivals(pods, 3000, 43, 3.0)]


def test_a_list_above_the_share_is_cut(lists: tuple[str, str]) -> None:
    order = arrivals(read_pods(lists[1]), 1000, 42, 1.0)
    assert sum(pod.asked for pod in order) <= 1000 + 2000
    assert len(order) < 8


def test_idle_gpus_are_fragmented_where_usual_pods_cannot_use_them(lists: tuple[str, str]) -> None:
    found = Fragments(read_nodes(lists[0]), read_pods(lists[1]))
    # CPU-only pods (1 of 4) use no GPU: 1/4 of all 3000; the 2-GPU pod (1 of 4) does not fit node a: 1/4 of its 1000.
    assert found.total == pytest.approx(3000 / 4 + 1000 / 4)


def test_the_experiment_fills_what_can_be_filled(lists: tuple[str, str]) -> None:
    nodes, pods = read_nodes(lists[0]), [pod for pod in read_pods(lists[1]) if pod.asked == 500]
    outcome = inflate(nodes, pods, Setup(seed=1), lambda done, of: None)
    assert outcome.placed == 6
    assert outcome.allocated_pct["100"] == 100.0
    assert outcome.pods == 8
    assert (outcome.moves, outcome.gpu_seconds_moved) == (0, 0.0)


def test_a_move_makes_room_for_a_refused_arrival(tmp_path: Path) -> None:
    """Half a GPU sits on each of two devices' nodes; the whole GPU that comes needs one of them moved onto the other."""
    nodes, pods = tmp_path / "n.csv", tmp_path / "p.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\na,6000,9999,1,X\nb,64000,9999,1,X\n")
    pods.write_text(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli\nhalf1,2000,1,1,500\nhalf2,2000,1,1,500\nwhole,6000,1,1,1000\n"
    )
    found = [
        inflate(
            read_nodes(str(nodes)),
            read_pods(str(pods)),
            Setup(seed=seed, moves=4, placement="spread"),
            lambda done, of: None,
        )
        for seed in range(12)
    ]
    moved = [outcome for outcome in found if outcome.moves]
    assert moved
    assert all(outcome.gpu_seconds_moved > 0 for outcome in moved)


def test_several_seeds_are_summed_up_by_mean_and_deviation() -> None:
    runs = [
        Outcome(
            seed=s,
            pods=1,
            placed=1,
            allocated_pct={"100": value},
            frag_pct={"100": 0.0},
            moves=0,
            gpu_seconds_moved=0.0,
        )
        for s, value in ((1, 95.0), (2, 97.0))
    ]
    assert summary(runs) == {"100": (96.0, 1.0)}
