"""Bytes between a folder and the object store, by presigned URLs: nothing large passes through the gateway."""

from modelyard.transfer.fetching import download as download
from modelyard.transfer.fetching import save_plots as save_plots
from modelyard.transfer.folders import Chosen as Chosen
from modelyard.transfer.folders import Contents as Contents
from modelyard.transfer.folders import files_below as files_below
from modelyard.transfer.folders import nobody_told as nobody_told
from modelyard.transfer.sending import upload as upload
