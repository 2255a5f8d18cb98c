"""Hidden names: one word for a name wherever it stands, and none that is found again."""

from __future__ import annotations

import pytest

from fairlead.cli.support.names import Names


def names(*noted: tuple[str, str], salt: str = "s") -> Names:
    made = Names(salt, ("fairlead",))
    for sort, name in noted:
        made.note(sort, name)
    return made


def test_a_name_is_the_same_word_alone_and_within_others() -> None:
    made = names(("project", "zebra-lab"), ("node", "gpu7.corp.example"))
    word = made.text("zebra-lab")
    assert word.startswith("project-")
    assert (
        made.text("runai-zebra-lab, zebra-lab-a100: queue of zebra-lab.")
        == f"runai-{word}, {word}-a100: queue of {word}."
    )
    assert "gpu7" not in made.text("on gpu7.corp.example:10250 and GPU")
    assert made.value({"queue": ["zebra-lab"], "zebra-lab": 1}) == {"queue": [word], word: 1}


def test_the_longest_name_is_hidden_first() -> None:
    made = names(("project", "zebra"), ("namespace", "runai-zebra"))
    assert made.text("runai-zebra").startswith("ns-")


def test_another_salt_gives_other_words() -> None:
    assert names(("node", "n1")).text("n1") != names(("node", "n1"), salt="t").text("n1")


@pytest.mark.parametrize("name", ["default", "kube-system", "fairlead", "127.0.0.1", "x"])
def test_what_tells_nothing_stays(name: str) -> None:
    assert names(("namespace", name)).text(f"in {name} now") == f"in {name} now"


def test_hosts_users_and_what_is_gone_are_learnt_from_lines() -> None:
    made = names()
    made.learn_line(
        '2026 {"event":"lost","node":"gpu9","url":"https://app.corp.example/api","user":"mira@corp.example"}'
    )
    made.learn_line("image: registry.corp.example:5000/ml/train:1")
    said = made.text("gpu9 https://app.corp.example mira@corp.example registry.corp.example:5000/ml/train:1 mira")
    for name in ("gpu9", "corp.example", "mira", "registry", "train"):
        assert name not in said, said
