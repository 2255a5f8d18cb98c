"""The plain cluster keeps places for large gangs."""

from fairlead.simulator.plain import Load, keep_places


def test_moves_let_in_large_gangs_that_would_be_refused() -> None:
    setup = Load(seed=1, load=0.95, arrivals=1500)
    without = keep_places(setup)
    with_moves = keep_places(Load(seed=1, load=0.95, arrivals=1500, moves=8))
    assert without.refused_pct > with_moves.refused_pct
    assert with_moves.moves_per_1000 > 0
    assert without.moves_per_1000 == 0


def test_the_same_seed_gives_the_same_figures() -> None:
    setup = Load(seed=3, load=0.8, arrivals=300)
    assert keep_places(setup) == keep_places(setup)
