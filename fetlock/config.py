"""Interim."""
from __future__ import annotations
from pathlib import Path
import yaml
from pydantic import BaseModel, ConfigDict
from safety import GuardConfig
from sim import MinitaurConfig
from training.config import SacConfig, TrainConfig
from training.tasks.walk import WalkConfig
class RunConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    seed: int = 0
    control_hz: float = 50.0
    bus_hz: float = 100.0
    robot: MinitaurConfig = MinitaurConfig(start_pose_rad=2.0, start_pose_noise_rad=0.2)
    guard: GuardConfig = GuardConfig(position_min_rad=0.9, position_max_rad=3.1, velocity_max_rad_s=100.0)
    task: WalkConfig = WalkConfig()
    sac: SacConfig = SacConfig()
    train: TrainConfig = TrainConfig()
def load_config(argv, prog="fetlock"):
    data = {}
    argv=list(argv)
    while argv:
        k=argv.pop(0); v=argv.pop(0)
        if k=="--config": data=yaml.safe_load(Path(v).read_text()); continue
        d=data; parts=k[2:].replace("-","_").split(".")
        for p in parts[:-1]: d=d.setdefault(p,{})
        d[parts[-1]]=yaml.safe_load(v)
    return RunConfig.model_validate(data)
def config_yaml(c): return yaml.safe_dump(c.model_dump(mode="json"),sort_keys=False)
