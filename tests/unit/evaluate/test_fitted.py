"""Features that baselines were fitted on are kept, and what a kill or a disk did to them costs only time."""

import numpy as np
import pytest

from vesalius.evaluate import fitted


def test_features_come_back_as_they_were(tmp_path):
    path = tmp_path / "features.npz"
    np.savez(path, **{"a/b.jpg": np.arange(3, dtype=np.float32)})
    assert fitted._kept(path)["a/b.jpg"].tolist() == [0, 1, 2]
    assert fitted._kept(tmp_path / "none.npz") == {}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_damaged_features_are_computed_again(tmp_path, share):
    path = tmp_path / "features.npz"
    np.savez(path, **{f"{n}.jpg": np.arange(400, dtype=np.float32) for n in range(5)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert fitted._kept(path) == {}
