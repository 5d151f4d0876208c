"""The custom resources of `fedward.io/v1alpha1` as typed models; no client of Kubernetes here."""

from fedward_operator.api.configmap import ConfigMap
from fedward_operator.api.job import FederatedJob
from fedward_operator.api.meta import API_VERSION, Resource
from fedward_operator.api.policy import SitePolicy
from fedward_operator.api.site import FederatedSite
from fedward_operator.api.site_job import SiteJob

__all__ = ["API_VERSION", "ConfigMap", "FederatedJob", "FederatedSite", "Resource", "SiteJob", "SitePolicy"]
