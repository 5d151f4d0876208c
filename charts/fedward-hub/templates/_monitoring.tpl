{{- /* Made by `make charts` from charts/shared/_monitoring.tpl. */ -}}
{{/* What finds this release's metrics: monitors, alerts and dashboards. */}}

{{/* Annotations of a pod by which many a Prometheus finds it. */}}
{{- define "fedward.scrapeAnnotations" -}}
{{- if .Values.metrics.annotations.enabled }}
{{- $secured := .Values.metrics.tls.existingSecret }}
prometheus.io/scrape: "true"
prometheus.io/scheme: {{ ternary "https" "http" (not (empty $secured)) }}
prometheus.io/port: {{ ternary "9443" "9090" (not (empty $secured)) | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end }}

{{/* Of a container whose metrics are secured: its arguments, its port, its mount, and the volume of its pod. */}}
{{- define "fedward.secureMetricsArguments" -}}
{{- if .Values.metrics.tls.existingSecret }}
- --secure-metrics
- 0.0.0.0:9443
- --secure-metrics-tls
- /etc/fedward/metrics
{{- end }}
{{- end }}

{{- define "fedward.secureMetricsPort" -}}
{{- if .Values.metrics.tls.existingSecret }}
- {name: secure-metrics, containerPort: 9443}
{{- end }}
{{- end }}

{{- define "fedward.secureMetricsServicePort" -}}
{{- if .Values.metrics.tls.existingSecret }}
- {name: secure-metrics, port: 9443, targetPort: secure-metrics, protocol: TCP}
{{- end }}
{{- end }}

{{- define "fedward.secureMetricsMount" -}}
{{- if .Values.metrics.tls.existingSecret }}
- {name: metrics-tls, mountPath: /etc/fedward/metrics, readOnly: true}
{{- end }}
{{- end }}

{{- define "fedward.secureMetricsVolume" -}}
{{- with .Values.metrics.tls.existingSecret }}
- name: metrics-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* Who may scrape metrics: whoever the values name; the release's own check asks whether a part is ready. */}}
{{- define "fedward.fromScrapers" -}}
{{- with .Values.networkPolicy.scrapers }}
- from: {{- toYaml . | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ ternary 9443 9090 (not (empty $.Values.metrics.tls.existingSecret)) }}}
{{- end }}
- from:
    - podSelector:
        matchLabels: {{- include "fedward.selector" (dict "root" . "component" "check") | nindent 10 }}
  ports:
    - {protocol: TCP, port: 9090}
{{- end }}

{{/* How often, and how, an endpoint is scraped. */}}
{{- define "fedward.scrape" -}}
path: /metrics
interval: {{ .Values.metrics.serviceMonitor.interval }}
scrapeTimeout: {{ .Values.metrics.serviceMonitor.scrapeTimeout }}
{{- end }}

{{/* How to see metrics by hand, for a release's notes; .pod is a Deployment that has some. */}}
{{- define "fedward.metricsNote" -}}
{{- $metrics := .root.Values.metrics -}}
{{- if $metrics.tls.existingSecret -}}
Metrics are shown at port 9443 to whoever has a certificate of the authority in the Secret {{ $metrics.tls.existingSecret }}.
{{- else -}}
Metrics are at port 9090. To look, and then to open http://127.0.0.1:9090/metrics:

  kubectl port-forward deploy/{{ .pod }} 9090 -n {{ .root.Release.Namespace }}
{{- end }}
{{- if not (or $metrics.serviceMonitor.enabled $metrics.annotations.enabled) }}

A Prometheus finds them with metrics.serviceMonitor.enabled=true, or by annotations with metrics.annotations.enabled=true.
{{- end }}

{{ if include "fedward.hasRules" .root -}}
Alerts are in the PrometheusRule {{ .root.Chart.Name }}
{{- else -}}
No alerts are loaded (metrics.rules.enabled=true)
{{- end }}, {{ with .root.Values.dashboards -}}
{{- if .enabled -}}
dashboards in ConfigMaps with the label {{ .label }}={{ .labelValue }}
{{- else -}}
no dashboards (dashboards.enabled=true)
{{- end }}
{{- end }}.
{{- end }}

{{/* A ServiceMonitor of the release's own parts: of those whose Service has a port for metrics. */}}
{{- define "fedward.serviceMonitor" -}}
{{- $tls := .Values.metrics.tls }}
{{- if and $tls.existingSecret (not (and $tls.serverName $tls.scraperSecret)) }}
  {{- fail "metrics.tls: give serverName, which the certificate holds, and scraperSecret, which Prometheus shows; a ServiceMonitor needs both" }}
{{- end }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {{- include "fedward.monitoringMetadata" (dict "root" . "name" .Chart.Name "labels" .Values.metrics.serviceMonitor.labels) | nindent 2 }}
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: {{ .Chart.Name }}
      app.kubernetes.io/instance: {{ .Release.Name }}
  namespaceSelector:
    matchNames: [{{ .Release.Namespace }}]
  endpoints:
    {{- if $tls.existingSecret }}
    - port: secure-metrics
      scheme: https
      tlsConfig:
        serverName: {{ $tls.serverName }}
        ca: {secret: {name: {{ $tls.scraperSecret }}, key: ca.crt}}
        cert: {secret: {name: {{ $tls.scraperSecret }}, key: tls.crt}}
        keySecret: {name: {{ $tls.scraperSecret }}, key: tls.key}
      {{- include "fedward.scrape" . | nindent 6 }}
    {{- else }}
    - port: metrics
      {{- include "fedward.scrape" . | nindent 6 }}
    {{- end }}
{{- end }}

{{/* Not empty where the alerts are to be loaded: as the values say, else where this release is scraped. */}}
{{- define "fedward.hasRules" -}}
{{- $said := .Values.metrics.rules.enabled }}
{{- if ternary .Values.metrics.serviceMonitor.enabled $said (kindIs "invalid" $said) }}yes{{ end }}
{{- end }}

{{/* The alerts, which docs/alerts.md explains, as they stand in rules/, but for the address before their runbooks' path. */}}
{{- define "fedward.rules" -}}
{{- $settings := .Values.metrics.rules }}
{{- $groups := list }}
{{- range $path, $_ := .Files.Glob "rules/*.yaml" }}
  {{- $groups = concat $groups (get ($.Files.Get $path | fromYaml) "groups") }}
{{- end }}
{{- with $settings.runbookUrl }}
  {{- range $group := $groups }}
    {{- range $group.rules }}
      {{- $_ := set .annotations "runbook_url" (printf "%s/%s" (trimSuffix "/" $settings.runbookUrl) .annotations.runbook_url) }}
    {{- end }}
  {{- end }}
{{- end }}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {{- include "fedward.monitoringMetadata" (dict "root" . "name" .Chart.Name "labels" (default .Values.metrics.serviceMonitor.labels $settings.labels)) | nindent 2 }}
spec:
  groups: {{- toYaml $groups | nindent 4 }}
{{- end }}

{{/* A ConfigMap of each dashboard in dashboards/, as Grafana's sidecar looks for them. */}}
{{- define "fedward.dashboards" -}}
{{- $settings := .Values.dashboards }}
{{- range $path, $_ := .Files.Glob "dashboards/*.json" }}
{{- $name := base $path | trimSuffix ".json" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- with $settings.namespace }}
  {{- /* Another release may bring its own there. */}}
  name: {{ $.Release.Namespace }}-{{ $.Chart.Name }}-dashboard-{{ $name }}
  namespace: {{ . }}
  {{- else }}
  name: {{ $.Chart.Name }}-dashboard-{{ $name }}
  namespace: {{ $.Release.Namespace }}
  {{- end }}
  labels: {{- merge (dict $settings.label $settings.labelValue) (include "fedward.labels" (dict "root" $) | fromYaml) | toYaml | nindent 4 }}
  {{- with merge (deepCopy $settings.annotations) $.Values.commonAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
data:
  {{ base $path }}: | {{- $.Files.Get $path | trim | nindent 4 }}
{{- end }}
{{- end }}

{{/* Metadata of an object that a Prometheus selects by .labels. */}}
{{- define "fedward.monitoringMetadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels: {{- merge (deepCopy .labels) (include "fedward.labels" (dict "root" .root) | fromYaml) | toYaml | nindent 2 }}
{{- with .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
