{{/* The gateway's configuration, as environment variables. Secrets are files where they can be: variables show up in process listings and crash reports. */}}
{{- define "crosstalk.env" -}}
{{- $redis := include "crosstalk.redis" . }}
{{- $enabled := include "crosstalk.enabledPorts" . | fromYaml }}
{{- range $name, $number := include "crosstalk.containerPorts" . | fromYaml }}
- name: CROSSTALK_LISTEN_{{ $name | replace "-" "_" | upper }}
  value: {{ ternary (printf "%s:%d" $.Values.listen.address (int $number)) "off" (hasKey $enabled $name) | quote }}
{{- end }}
- name: CROSSTALK_LISTEN_ADMIN
  value: {{ printf "%s:9600" .Values.listen.address | quote }}
{{- if .Values.tls.existingSecret }}
- name: CROSSTALK_TLS_CERTIFICATE
  value: /run/crosstalk/tls/tls.crt
- name: CROSSTALK_TLS_KEY
  value: /run/crosstalk/tls/tls.key
{{- end }}
- name: CROSSTALK_STORAGE_DATA_DIR
  value: none
{{- if has $redis (list "secret" "made") }}
- name: CROSSTALK_STORAGE_REDIS_FILE
  value: /run/crosstalk/redis/url
{{- else if eq $redis "open" }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.redis.passwordSecret | quote }}
      key: {{ .Values.redis.passwordSecretKey | quote }}
- name: CROSSTALK_STORAGE_REDIS
  value: {{ .Values.redis.url | quote }}
{{- else if eq $redis "bundled" }}
- name: CROSSTALK_STORAGE_REDIS
  value: redis://{{ include "crosstalk.fullname" . }}-redis:6379
{{- end }}
{{- with .Values.redis }}
{{- if .tls.caSecret }}
- name: CROSSTALK_REDIS_CA_FILE
  value: /run/crosstalk/redis-ca/ca.crt
{{- end }}
{{- if .tls.clientSecret }}
- name: CROSSTALK_REDIS_CERTIFICATE
  value: /run/crosstalk/redis-client/tls.crt
- name: CROSSTALK_REDIS_KEY
  value: /run/crosstalk/redis-client/tls.key
{{- end }}
{{- with .sentinel.user }}
- name: CROSSTALK_REDIS_SENTINEL_USER
  value: {{ . | quote }}
{{- end }}
{{- if .sentinel.existingSecret }}
- name: CROSSTALK_REDIS_SENTINEL_PASSWORD_FILE
  value: /run/crosstalk/redis-sentinel/password
{{- end }}
{{- end }}
{{- include "crosstalk.env.auth" . }}
- name: CROSSTALK_SHUTDOWN_READINESS_DELAY_MS
  value: {{ include "crosstalk.text" .Values.shutdown.readinessDelayMs | quote }}
- name: CROSSTALK_SHUTDOWN_RECONNECTS_PER_SECOND
  value: {{ include "crosstalk.text" .Values.shutdown.reconnectsPerSecond | quote }}
- name: CROSSTALK_SHUTDOWN_DEADLINE_MS
  value: {{ include "crosstalk.text" .Values.shutdown.deadlineMs | quote }}
{{- $further := dict }}
{{- range .Values.extraEnv }}
{{- $_ := set $further .name true }}
{{- end }}
{{- range $section, $settings := .Values.config }}
{{- range $key, $value := $settings }}
{{- $variable := printf "CROSSTALK_%s_%s" (upper $section) (upper $key) }}
{{- if not (hasKey $further $variable) }}
- name: {{ $variable }}
  value: {{ include "crosstalk.text" $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "crosstalk.env.auth" -}}
{{- with .Values.auth }}
{{- if .existingSecret }}
- name: CROSSTALK_AUTH_TOKEN_KEY_FILE
  value: /run/crosstalk/auth/token-key
{{- if .formerKeys }}
- name: CROSSTALK_AUTH_TOKEN_KEYS_FORMER_FILE
  value: /run/crosstalk/auth/token-keys-former
{{- end }}
- name: CROSSTALK_AUTH_REQUIRE_LOGIN
  value: {{ .requireLogin | quote }}
{{- end }}
{{- with .publicUrl }}
- name: CROSSTALK_AUTH_PUBLIC_URL
  value: {{ . | quote }}
{{- end }}
{{- with .allowedOrigins }}
- name: CROSSTALK_AUTH_ALLOWED_ORIGINS
  value: {{ join "," . | quote }}
{{- end }}
{{- range $name, $provider := .providers }}
{{- $prefix := printf "CROSSTALK_AUTH_PROVIDERS_%s" ($name | replace "-" "_" | upper) }}
{{- if ternary (get $provider "secretKey") "by its name" (hasKey $provider "secretKey") }}
- name: {{ $prefix }}_CLIENT_SECRET_FILE
  value: /run/crosstalk/auth/client-secret-{{ $name }}
{{- end }}
{{- range $key, $value := omit $provider "secretKey" }}
- name: {{ $prefix }}_{{ $key | upper }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Secrets that the pods mount: folder below /run/crosstalk to name and items. */}}
{{- define "crosstalk.secretFiles" -}}
{{- $redis := include "crosstalk.redis" . }}
{{- $pair := list (dict "key" "tls.crt" "path" "tls.crt") (dict "key" "tls.key" "path" "tls.key") }}
{{- $mounts := dict }}
{{- with .Values.tls.existingSecret }}
{{- $_ := set $mounts "tls" (dict "name" . "items" $pair) }}
{{- end }}
{{- if eq $redis "made" }}
{{- $_ := set $mounts "redis" (dict "name" (printf "%s-redis-url" (include "crosstalk.fullname" .)) "items" (list (dict "key" "redis-url" "path" "url"))) }}
{{- end }}
{{- with .Values.redis }}
{{- if eq $redis "secret" }}
{{- $_ := set $mounts "redis" (dict "name" .existingSecret "items" (list (dict "key" .existingSecretKey "path" "url"))) }}
{{- end }}
{{- with .tls.caSecret }}
{{- $_ := set $mounts "redis-ca" (dict "name" . "items" (list (dict "key" $.Values.redis.tls.caSecretKey "path" "ca.crt"))) }}
{{- end }}
{{- with .tls.clientSecret }}
{{- $_ := set $mounts "redis-client" (dict "name" . "items" $pair) }}
{{- end }}
{{- with .sentinel.existingSecret }}
{{- $_ := set $mounts "redis-sentinel" (dict "name" . "items" (list (dict "key" $.Values.redis.sentinel.existingSecretKey "path" "password"))) }}
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if .existingSecret }}
{{- $items := list (dict "key" "token-key" "path" "token-key") }}
{{- if .formerKeys }}
{{- $items = append $items (dict "key" "token-keys-former" "path" "token-keys-former") }}
{{- end }}
{{- range $name, $provider := .providers }}
{{- $file := printf "client-secret-%s" $name }}
{{- with ternary (get $provider "secretKey") $file (hasKey $provider "secretKey") }}
{{- $items = append $items (dict "key" . "path" $file) }}
{{- end }}
{{- end }}
{{- $_ := set $mounts "auth" (dict "name" .existingSecret "items" $items) }}
{{- end }}
{{- end }}
{{- toYaml $mounts }}
{{- end }}
