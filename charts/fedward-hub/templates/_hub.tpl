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
