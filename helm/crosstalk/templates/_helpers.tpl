{{- define "crosstalk.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Leaves 7 of the 63 characters for the longest suffix, -pychat. */}}
{{- define "crosstalk.fullname" -}}
{{- $name := include "crosstalk.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 56 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 56 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 56 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "crosstalk.selectorLabels" -}}
app.kubernetes.io/name: {{ include "crosstalk.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "crosstalk.labels" -}}
{{ include "crosstalk.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{- define "crosstalk.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "crosstalk.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Name of the Secret with the Redis URL; empty for the embedded store. */}}
{{- define "crosstalk.redisSecret" -}}
{{- if .Values.redis.existingSecret }}
{{- .Values.redis.existingSecret }}
{{- else if .Values.redis.url }}
{{- include "crosstalk.fullname" . }}-redis
{{- end }}
{{- end }}

{{/* Refuses values that would make a release that cannot work. */}}
{{- define "crosstalk.validate" -}}
{{- if and .Values.redis.url .Values.redis.existingSecret }}
{{- fail "redis.url and redis.existingSecret are both set; give one of them" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not (include "crosstalk.redisSecret" .)) }}
{{- fail "replicas is above 1, which needs a shared Redis: set redis.url or redis.existingSecret" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.enabled needs at least one name in ingress.hosts" }}
{{- end }}
{{- if and .Values.auth.providers (not (and .Values.auth.existingSecret .Values.auth.publicUrl)) }}
{{- fail "auth.providers needs auth.existingSecret and auth.publicUrl" }}
{{- end }}
{{- if and .Values.auth.requireLogin (not .Values.auth.existingSecret) }}
{{- fail "auth.requireLogin needs auth.existingSecret" }}
{{- end }}
{{- $owned := dict
  "auth.token_key" "auth.existingSecret"
  "auth.token_key_file" "auth.existingSecret"
  "auth.token_keys_former" "auth.existingSecret"
  "auth.token_keys_former_file" "auth.existingSecret"
  "auth.public_url" "auth.publicUrl"
  "auth.allowed_origins" "auth.allowedOrigins"
  "auth.require_login" "auth.requireLogin"
  "storage.redis" "redis.url"
  "storage.redis_file" "redis.existingSecret"
  "storage.data_dir" "redis.url or redis.existingSecret, because pods keep no files"
  "shutdown.readiness_delay_ms" "shutdown.readinessDelayMs"
  "shutdown.deadline_ms" "shutdown.deadlineMs"
  "listen.http" "listen.address and service.port"
  "listen.action" "listen.address and service.action"
  "listen.simple" "listen.address and service.simple"
  "listen.pychat" "listen.address and pychat"
  "listen.scrp" "listen.address and scrp"
  "listen.admin" "listen.address" }}
{{- range $key, $value := .Values.config }}
{{- if hasKey $owned $key }}
{{- fail (printf "config holds %s, which the chart sets itself; use %s" $key (get $owned $key)) }}
{{- end }}
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
