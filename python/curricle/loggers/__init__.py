"""Loggers: the metrics of a session for files, TensorBoard and Weights & Biases."""

from curricle.loggers.base import CurriculumLogger
from curricle.loggers.files import CsvLogger, JsonlLogger
from curricle.loggers.tensorboard import TensorBoardLogger
from curricle.loggers.wandb import WandbLogger

__all__ = ["CsvLogger", "CurriculumLogger", "JsonlLogger", "TensorBoardLogger", "WandbLogger"]
