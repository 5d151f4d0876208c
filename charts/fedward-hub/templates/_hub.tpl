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
