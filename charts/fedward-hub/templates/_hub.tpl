{{- define "fedward.domain" -}}
{{- required "domain: name the federation, for example --set domain=fed.example.org" .Values.domain }}
{{- end }}

{{- define "fedward.doorAddress" -}}
{{ .Values.door.host | default (include "fedward.domain" .) }}:{{ .Values.door.port }}
{{- end }}

{{- define "fedward.authoritySecret" -}}
{{ .Values.authority.existingSecret | default "fedward-authority" }}
{{- end }}

{{/* Jobs run in any namespace. */}}
{{- define "fedward.toAggregators" -}}
- to:
    - namespaceSelector: {}
      podSelector: {matchLabels: {fedward.io/component: aggregator}}
  ports:
    - {protocol: TCP, port: 8443}
{{- end }}

{{/* The MLflow servers that trackers log to. */}}
{{- define "fedward.toTrackingServers" -}}
- to: {{- toYaml .Values.tracking.servers | nindent 4 }}
  ports:
    {{- range .Values.tracking.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{/* How the pods of jobs are scraped. They show certificates of the federation's authority, all by one name. */}}
{{- define "fedward.jobsEndpoint" -}}
{{- $tls := .Values.metrics.tls }}
{{- if $tls.existingSecret -}}
- port: secure-metrics
  scheme: https
  tlsConfig:
    serverName: metrics.{{ include "fedward.domain" . }}
    ca: {secret: {name: {{ include "fedward.authoritySecret" . }}, key: ca.crt}}
    cert: {secret: {name: {{ $tls.scraperSecret }}, key: tls.crt}}
    keySecret: {name: {{ $tls.scraperSecret }}, key: tls.key}
{{- else -}}
- port: metrics
{{- end }}
  {{- include "fedward.scrape" . | nindent 2 }}
  # Kept apart, as a Prometheus may give every target the namespace of its monitor instead (enforcedNamespaceLabel).
  relabelings:
    - {action: replace, sourceLabels: [__meta_kubernetes_namespace], targetLabel: pod_namespace}
  metricRelabelings:
    - {action: keepequal, sourceLabels: [job_namespace], targetLabel: pod_namespace}
    - {action: labeldrop, regex: pod_namespace}
{{- end }}
