{{- define "fedward.site" -}}
{{- required "site: name the hospital as the federation does; it is in the file that `fedward invite` printed: -f north.yaml" .Values.site }}
{{- end }}

{{- define "fedward.federation" -}}
{{- required "federation: name the federation's domain; it is in the file that `fedward invite` printed" .Values.federation }}
{{- end }}

{{- define "fedward.hubAddress" -}}
{{- required "hub.address: say where the hub is, host:port; it is in the file that `fedward invite` printed" .Values.hub.address }}
{{- end }}

{{- define "fedward.gatewayAddress" -}}
fedward-gateway.{{ .Release.Namespace }}.svc:8443
{{- end }}

{{- define "fedward.invitationSecret" -}}
{{ .Values.invitation.existingSecret | default "fedward-invitation" }}
{{- end }}

{{/* The way through the hospital's proxy. */}}
{{- define "fedward.proxyEnv" -}}
{{- if or .Values.proxy.url .Values.proxy.existingSecret }}
- name: HTTPS_PROXY
  {{- if .Values.proxy.existingSecret }}
  valueFrom: {secretKeyRef: {name: {{ .Values.proxy.existingSecret }}, key: HTTPS_PROXY}}
  {{- else }}
  value: {{ .Values.proxy.url | quote }}
  {{- end }}
# Kubernetes puts the address of its API server in.
- name: NO_PROXY
  value: {{ concat (list "localhost" "127.0.0.1" "$(KUBERNETES_SERVICE_HOST)" ".svc" (printf ".%s" .Values.clusterDomain)) .Values.proxy.noProxy | join "," | quote }}
{{- end }}
{{- end }}

{{/* Where the gateway's spans go. */}}
{{- define "fedward.tracingEnv" -}}
{{- with .Values.tracing.endpoint -}}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{/* The hub's door, or the proxy before it. */}}
{{- define "fedward.toHub" -}}
{{- $ports := .Values.networkPolicy.hub.ports }}
{{- if not $ports }}
  {{- if .Values.proxy.existingSecret }}
    {{- fail "networkPolicy.hub.ports: give the proxy's port, for its address is in a Secret" }}
  {{- else if .Values.proxy.url }}
    {{- $ports = list (regexFind "[0-9]+$" (trimSuffix "/" .Values.proxy.url) | default "80") }}
  {{- else }}
    {{- $ports = list (regexFind "[0-9]+$" (include "fedward.hubAddress" .)) }}
  {{- end }}
{{- end -}}
- to:
    {{- range .Values.networkPolicy.hub.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    {{- range $ports }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
# A hub in this very cluster: policies are applied behind its Service.
- to:
    - namespaceSelector: {}
      podSelector: {matchLabels: {fedward.io/component: door}}
  ports:
    - {protocol: TCP, port: 8443}
{{- end }}
