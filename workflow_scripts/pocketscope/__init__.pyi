# What editors and type checkers see: the names are looked up when they are first used.
from pocketscope import compat as compat
from pocketscope.api.calls import Options as Options
from pocketscope.api.calls import data_distillation as data_distillation
from pocketscope.api.calls import fixmatch as fixmatch
from pocketscope.api.calls import mixmatch as mixmatch
from pocketscope.api.calls import model_data_distillation as model_data_distillation
from pocketscope.api.calls import model_distillation as model_distillation
from pocketscope.api.calls import plain_distillation as plain_distillation
from pocketscope.api.errors import FailedJob as FailedJob
from pocketscope.api.errors import RunError as RunError
from pocketscope.api.events import Progress as Progress
from pocketscope.api.opening import open_result as open_result
from pocketscope.api.preview import preview as preview
from pocketscope.api.result import Result as Result
from pocketscope.api.running import run as run
from pocketscope.core.errors import InputError as InputError
from pocketscope.inference.model import Model as Model
from pocketscope.inference.model import Predictions as Predictions
from pocketscope.inference.model import load as load

__version__: str
