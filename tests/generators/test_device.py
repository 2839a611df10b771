"""Where models run: words are checked, precision is a fact about the machine."""

import pytest
import torch

from generators import device
from generators.base import GeneratorInputError


def test_cpu_is_always_there_and_its_precision_follows_the_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, precision in ((True, device.BFLOAT16), (False, device.FLOAT32)):
        monkeypatch.setattr(device, "cpu_has_bfloat16", lambda has=has: has)
        assert device.resolve("cpu") == device.Device(name="cpu", precision=precision)
    assert device.resolve("cpu", precision="float32").precision == "float32"


def test_autocast_is_on_exactly_when_the_precision_says_so() -> None:
    x = torch.ones(2, 2)
    for precision, dtype in ((device.BFLOAT16, torch.bfloat16), (device.FLOAT32, torch.float32)):
        with device.resolve("cpu", precision=precision).autocast():
            assert (x @ x).dtype == dtype


@pytest.mark.parametrize("word", ["gpu", "cuda:x", "", "cpuu"])
def test_unknown_device_is_named(word: str) -> None:
    with pytest.raises(GeneratorInputError, match="device: unknown"):
        device.resolve(word)


def test_missing_gpu_and_unknown_precision_are_refused() -> None:
    with pytest.raises(GeneratorInputError, match="no such GPU"):
        device.resolve("cuda:99")
    with pytest.raises(GeneratorInputError, match="precision: unknown"):
        device.resolve("cpu", precision="float16")
