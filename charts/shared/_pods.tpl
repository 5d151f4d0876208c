{{/* The parts of a release and how they are labelled; .root is the top, .component one of the chart's parts. */}}
{{- define "fedward.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "fedward.labels" -}}
{{- $root := .root -}}
{{- $standard := dict
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_")
  "app.kubernetes.io/name" $root.Chart.Name
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "app.kubernetes.io/part-of" "fedward"
-}}
{{- with .component }}{{- $_ := set $standard "app.kubernetes.io/component" . }}{{- end }}
{{- merge $standard $root.Values.commonLabels | toYaml }}
{{- end }}

{{/* Metadata of an object of .component; .name, .annotations of its own, and .cluster where it lies in no namespace. */}}
{{- define "fedward.metadata" -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ .root.Release.Namespace }}
{{- end }}
labels: {{- include "fedward.labels" . | nindent 2 }}
{{- with merge (.annotations | default dict) .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Metadata of a pod: .settings are the part's values, .restartOn is what a change of which restarts it, .metrics whether it has any. */}}
{{- define "fedward.podMetadata" -}}
labels:
  {{- /* Without the chart's version: a new one alone restarts nobody. */}}
  {{- $own := merge (dict "fedward.io/component" (.name | default .component)) (omit (include "fedward.labels" . | fromYaml) "helm.sh/chart") }}
  {{- merge $own .settings.podLabels | toYaml | nindent 2 }}
{{- $annotations := dict }}
{{- with .restartOn }}{{- $_ := set $annotations "fedward.io/checksum" (toJson . | sha256sum) }}{{- end }}
{{- if .metrics }}{{- $annotations = merge $annotations (include "fedward.scrapeAnnotations" .root | fromYaml) }}{{- end }}
{{- with merge $annotations .settings.podAnnotations .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* An image: by digest where there is one, from the global registry where there is one. */}}
{{- define "fedward.image" -}}
{{- $image := index .root.Values.images .image -}}
{{- with .root.Values.global.imageRegistry | default $image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What every pod has: restricted Pod Security, where it runs, what it pulls with. */}}
{{- define "fedward.pod" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  # A volume of many files is not walked through at every start.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{- merge (dict "labelSelector" (dict "matchLabels" (include "fedward.selector" $ | fromYaml))) . | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What every container has beside its arguments: image, restricted Pod Security, resources. */}}
{{- define "fedward.container" -}}
image: {{ include "fedward.image" . | quote }}
imagePullPolicy: {{ .root.Values.imagePullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources: {{- toYaml .settings.resources | nindent 2 }}
{{- end }}

{{/* Probes of a process that answers at its metrics' port. */}}
{{- define "fedward.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 20
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* A budget for a part of several replicas: with one, it would only stand in the way of a drain. */}}
{{- define "fedward.disruptionBudget" -}}
{{- if gt (int .settings.replicas) 1 }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "fedward.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "fedward.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* Rules of network policies that several parts have. */}}
{{- define "fedward.toNames" -}}
- to: {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{/* The collector that spans go to, where there is one. */}}
{{- define "fedward.toCollector" -}}
{{- with .Values.tracing.endpoint -}}
- to: {{- toYaml $.Values.tracing.collectors | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ regexFind "[0-9]+$" . }}}
{{- end }}
{{- end }}

{{- define "fedward.toApiServer" -}}
- to:
    {{- range .Values.networkPolicy.apiServer.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
