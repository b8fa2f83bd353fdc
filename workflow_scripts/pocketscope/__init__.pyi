# What editors and type checkers see: the names are looked up when they are first used.
from pocketscope.core.errors import InputError as InputError
from pocketscope.inference.model import Model as Model
from pocketscope.inference.model import Predictions as Predictions
from pocketscope.inference.model import load as load

__version__: str
