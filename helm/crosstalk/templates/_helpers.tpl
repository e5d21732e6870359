{{- define "crosstalk.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Leaves room for the longest suffix within the 52 characters that a StatefulSet's pods can have. */}}
{{- define "crosstalk.fullname" -}}
{{- $name := include "crosstalk.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What pods are found by; called with (list $ component). */}}
{{- define "crosstalk.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "crosstalk.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* What every object has; called with (list $ component). Those of the chart win over commonLabels. */}}
{{- define "crosstalk.labels" -}}
{{- $root := index . 0 }}
{{- $own := dict
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_")) }}
{{- merge (include "crosstalk.selectorLabels" . | fromYaml) $own $root.Values.commonLabels | toYaml }}
{{- end }}

{{- define "crosstalk.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "crosstalk.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "crosstalk.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Where the URL of Redis comes from: `none` (the embedded store), `bundled`, `secret` (one that exists), `made` (a Secret of the
chart) or `open` (the URL is no secret, the password is put in).
*/}}
{{- define "crosstalk.redis" -}}
{{- with .Values.redis }}
{{- if .bundled.enabled }}bundled
{{- else if .existingSecret }}secret
{{- else if .passwordSecret }}open
{{- else if .url }}made
{{- else }}none
{{- end }}
{{- end }}
{{- end }}

{{/* Every port that the gateway can listen on, as it is inside the pod. The name is that of the setting, with `-` for `_`. */}}
{{- define "crosstalk.containerPorts" -}}
http: 8080
https: 8443
action: 8000
simple: 8081
pychat: 9090
pychat-tls: 9093
scrp: 42015
scrp-tls: 42016
action-tcp: 8001
simple-tcp: 8082
detect-tcp: 9091
detect-tls: 9094
{{- end }}

{{/* Those that are enabled: name to number inside the pod. */}}
{{- define "crosstalk.enabledPorts" -}}
{{- $numbers := include "crosstalk.containerPorts" . | fromYaml }}
{{- $enabled := dict }}
{{- range .Values.services }}
{{- range $name, $port := .ports }}
{{- if $port.enabled }}
{{- $_ := set $enabled $name (get $numbers $name | int) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $enabled }}
{{- end }}

{{/* Whether there can be more than one gateway: `true` or nothing. */}}
{{- define "crosstalk.several" -}}
{{- if .Values.autoscaling.enabled }}
{{- if gt (int .Values.autoscaling.maxReplicas) 1 }}true{{ end }}
{{- else if gt (int .Values.replicas) 1 }}true
{{- end }}
{{- end }}

{{/* Whole numbers from a values file arrive as floats and would be printed like 1e+06. */}}
{{- define "crosstalk.text" -}}
{{- if kindIs "float64" . }}
{{- if eq . (floor .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else }}
{{- . }}
{{- end }}
{{- end }}

{{/* Readiness delay and deadline, rounded up to seconds, and the margin. */}}
{{- define "crosstalk.gracePeriod" -}}
{{- with .Values.shutdown }}
{{- add (div (add (int64 .readinessDelayMs) (int64 .deadlineMs) 999) 1000) (int64 .marginSeconds) }}
{{- end }}
{{- end }}

{{/* Seconds that a start may take: the gateway itself waits for Redis so long and then gives up; half a minute for all the rest. */}}
{{- define "crosstalk.startSeconds" -}}
{{- $tuning := get .Values.config "redis" | default dict }}
{{- add (div (add (int64 (default 30000 $tuning.start_timeout_ms)) 999) 1000) 30 }}
{{- end }}

{{/* A file of the folder dashboards, with links to where the runbook really is; called with (list $ path). */}}
{{- define "crosstalk.watching" -}}
{{- $root := index . 0 }}
{{- $text := $root.Files.Get (index . 1) }}
{{- with $root.Values.runbookUrl }}
{{- $text = replace "docs/OPERATIONS.md" . $text }}
{{- end }}
{{- $text }}
{{- end }}
