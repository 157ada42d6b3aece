"""Prompts as tasks: draws of prompts, and the rewards of their completions as scores."""

from curricle.integrations.prompts.learnability import PromptLearnabilityConfig
from curricle.integrations.prompts.prompts import Prompts

__all__ = ["PromptLearnabilityConfig", "Prompts"]
