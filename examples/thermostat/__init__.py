"""A room kept at its set point by heating power: one continuous action."""
