"""Recurrent networks held together: PyTorch's cells, permutations; encoders that must not care."""

from __future__ import annotations

import pytest
import torch

from asterias.errors import UserError
from learning.weight_space.encoders.probing import ProbingEncoder, TokenQuestions
from learning.weight_space.encoders.registry import ENCODERS
from learning.weight_space.recurrent_nets import CELLS, NetForm, draw_nets, permuted, run, select

LAYERS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
INVARIANT = ("statistics", "equivariant", "probing", "interactive_probing")


def nets_of(cell: str, count: int = 5) -> tuple[NetForm, dict[str, torch.Tensor]]:
    form = NetForm(cell, 3, 8, 3)
    return form, draw_nets(form, count, torch.Generator().manual_seed(1))


def orders(count: int, hidden: int) -> torch.Tensor:
    return torch.rand((count, hidden), generator=torch.Generator().manual_seed(2)).argsort(1)


@pytest.mark.parametrize("cell", CELLS)
def test_each_network_does_what_pytorchs_layer_does_alone(cell: str) -> None:
    form, nets = nets_of(cell)
    x = torch.randn(5, 4, 7, 3, generator=torch.Generator().manual_seed(0))
    out = run(form, nets, x)
    for number in range(5):
        layer, own = LAYERS[cell](3, 8, batch_first=True), select(nets, number)
        layer.load_state_dict({f"{k}_l0": own[k] for k in own if not k.endswith("out")})
        with torch.no_grad():
            alone = layer(x[number])[0] @ own["weight_out"].T + own["bias_out"]
        torch.testing.assert_close(out[number], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_networks_with_hidden_units_in_another_order_compute_the_same(cell: str) -> None:
    form, nets = nets_of(cell)
    other = permuted(form, nets, orders(5, 8))
    assert not torch.allclose(nets["weight_hh"], other["weight_hh"])
    x = torch.randn(5, 2, 6, 3)
    torch.testing.assert_close(run(form, nets, x), run(form, other, x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", INVARIANT)
def test_permuted_hidden_units_change_nothing(name: str, cell: str) -> None:
    torch.manual_seed(0)
    form, nets = nets_of(cell)
    encoder = ENCODERS.get(name)(form, 16).eval()
    with torch.no_grad():
        plain, other = encoder(nets), encoder(permuted(form, nets, orders(5, 8)))
    assert (plain - other).abs().max() < 1e-5
    assert (plain[0] - plain[1]).abs().max() > 1e-5  # networks are told apart


def test_a_flat_encoder_does_care_and_sees_other_orders_while_it_learns() -> None:
    torch.manual_seed(0)
    form, nets = nets_of("lstm")
    encoder = ENCODERS.get("flat")(form, 16).eval()
    with torch.no_grad():
        plain, other = encoder(nets), encoder(permuted(form, nets, orders(5, 8)))
        assert (plain - other).abs().max() > 1e-3
        assert torch.equal(plain, encoder(nets))
        encoder.train()
        assert not torch.equal(encoder(nets), encoder(nets))


def test_interactive_questions_depend_on_the_answers_and_constant_ones_do_not() -> None:
    for interactive in (True, False):
        torch.manual_seed(0)
        asked: list[torch.Tensor] = []
        encoder = ProbingEncoder(TokenQuestions(3), 4, interactive=interactive, rounds=3)

        def answer(x: torch.Tensor, kept: list[torch.Tensor] = asked) -> torch.Tensor:
            kept.append(x)
            return torch.tensor([[[5.0, 0, 0]], [[0, 0, 5.0]]])  # two networks of one answer each

        encoder.ask(answer, 2)
        assert len(asked) == 3 and torch.allclose(asked[0].sum(-1), torch.ones(2, 1))
        assert torch.equal(asked[0][0], asked[0][1])
        assert torch.equal(asked[2][0], asked[2][1]) is not interactive


def test_wrong_forms_are_refused() -> None:
    with pytest.raises(UserError, match="Unknown cell 'elman'; choose one of rnn, gru, lstm"):
        NetForm("elman", 3, 8, 3)
    with pytest.raises(UserError, match="one input"):
        NetForm("gru", 0, 8, 3)
    with pytest.raises(ValueError, match=r"call ask\(\)"):
        ProbingEncoder(TokenQuestions(3), 4, interactive=True)({})
