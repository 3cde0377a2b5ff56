"""Everything that a gateway can be asked, one class for each area."""

from modelyard.resources.aliases import Aliases as Aliases
from modelyard.resources.audits import Audits as Audits
from modelyard.resources.competitions import Competitions as Competitions
from modelyard.resources.conversions import Conversions as Conversions
from modelyard.resources.datasets import Datasets as Datasets
from modelyard.resources.evaluations import Evaluations as Evaluations
from modelyard.resources.gallery import Gallery as Gallery
from modelyard.resources.imports import Imports as Imports
from modelyard.resources.lineage import Lineage as Lineage
from modelyard.resources.models import Models as Models
from modelyard.resources.operations import AccessKeys as AccessKeys
from modelyard.resources.operations import DeadLetters as DeadLetters
from modelyard.resources.operations import Projects as Projects
from modelyard.resources.operations import Tokens as Tokens
from modelyard.resources.templates import Templates as Templates
from modelyard.resources.training import Rules as Rules
from modelyard.resources.training import Training as Training
