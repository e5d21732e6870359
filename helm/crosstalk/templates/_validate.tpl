{{/* Refuses values that would make a release that cannot work, and says what to do. */}}
{{- define "crosstalk.validate" -}}
{{- include "crosstalk.validate.redis" . }}
{{- include "crosstalk.validate.ports" . }}
{{- include "crosstalk.validate.auth" . }}
{{- include "crosstalk.validate.scaling" . }}
{{- include "crosstalk.validate.settings" . }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "serviceMonitor.enabled and podMonitor.enabled are both set; everything would be counted twice" }}
{{- end }}
{{- if and .Values.prometheusRule.enabled (not (.Files.Get "files/dashboards/alerts.yaml")) }}
{{- fail "prometheusRule.enabled, but this chart was packaged without dashboards/alerts.yaml" }}
{{- end }}
{{- end }}

{{- define "crosstalk.validate.redis" -}}
{{- with .Values.redis }}
{{- if and .url .existingSecret }}
{{- fail "redis.url and redis.existingSecret are both set; give one of them" }}
{{- end }}
{{- if and .bundled.enabled (or .url .existingSecret) }}
{{- fail "redis.bundled.enabled is set beside redis.url or redis.existingSecret; give one of them" }}
{{- end }}
{{- if ne (empty .passwordSecret) (not (contains "$(REDIS_PASSWORD)" .url)) }}
{{- fail "redis.passwordSecret and $(REDIS_PASSWORD) in redis.url need each other" }}
{{- end }}
{{- if and .url (or .tls.caSecret .tls.clientSecret) (not (hasPrefix "rediss" .url)) }}
{{- fail "redis.tls needs a redis.url that begins with rediss" }}
{{- end }}
{{- if and .bundled.enabled (or .tls.caSecret .tls.clientSecret) }}
{{- fail "redis.tls means nothing to the bundled Redis" }}
{{- end }}
{{- end }}
{{- if and (eq (include "crosstalk.redis" .) "none") (include "crosstalk.several" .) }}
{{- fail "more than one replica needs a shared Redis: set redis.url, redis.existingSecret or redis.bundled.enabled" }}
{{- end }}
{{- end }}

{{- define "crosstalk.validate.ports" -}}
{{- $enabled := include "crosstalk.enabledPorts" . | fromYaml }}
{{- if not $enabled }}
{{- fail "every port of services is off; enable one" }}
{{- end }}
{{- range $name := list "https" "pychat-tls" "scrp-tls" "detect-tls" }}
{{- if and (hasKey $enabled $name) (not $.Values.tls.existingSecret) }}
{{- fail (printf "the port %s needs tls.existingSecret" $name) }}
{{- end }}
{{- end }}
{{- if .Values.ingress.enabled }}
{{- if not .Values.ingress.hosts }}
{{- fail "ingress.enabled needs at least one name in ingress.hosts" }}
{{- end }}
{{- if not (hasKey $enabled "http") }}
{{- fail "ingress.enabled needs services.http.ports.http.enabled" }}
{{- end }}
{{- end }}
{{- range $name, $route := .Values.routes }}
{{- if $route.enabled }}
{{- if not (hasKey $enabled $name) }}
{{- fail (printf "routes.%s.enabled needs the port %s to be enabled in services" $name $name) }}
{{- end }}
{{- if not $route.parentRefs }}
{{- fail (printf "routes.%s.enabled needs at least one Gateway in routes.%s.parentRefs" $name $name) }}
{{- end }}
{{- if and (hasSuffix "-tls" $name) (not $route.hostnames) }}
{{- fail (printf "routes.%s.enabled needs at least one name in routes.%s.hostnames" $name $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "crosstalk.validate.auth" -}}
{{- with .Values.auth }}
{{- if and .providers (not (and .existingSecret .publicUrl)) }}
{{- fail "auth.providers needs auth.existingSecret and auth.publicUrl" }}
{{- end }}
{{- if and .requireLogin (not .existingSecret) }}
{{- fail "auth.requireLogin needs auth.existingSecret" }}
{{- end }}
{{- if and .formerKeys (not .existingSecret) }}
{{- fail "auth.formerKeys needs auth.existingSecret" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "crosstalk.validate.scaling" -}}
{{- with .Values.autoscaling }}
{{- if .enabled }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail "autoscaling.minReplicas is above autoscaling.maxReplicas" }}
{{- end }}
{{- $cpu := gt (int .cpuUtilization) 0 }}
{{- $connections := gt (int .connectionsPerPod) 0 }}
{{- if not (or $cpu $connections) }}
{{- fail "autoscaling needs something to go by: set autoscaling.cpuUtilization or autoscaling.connectionsPerPod" }}
{{- end }}
{{- if and $cpu (not (dig "requests" "cpu" "" $.Values.resources)) }}
{{- fail "autoscaling.cpuUtilization is a share of resources.requests.cpu, which is not set" }}
{{- end }}
{{- if and (eq .by "keda") $connections (not .keda.serverAddress) }}
{{- fail "autoscaling.connectionsPerPod by keda needs autoscaling.keda.serverAddress" }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.rollout }}
{{- if and (has (toString .maxSurge) (list "0" "0%")) (has (toString .maxUnavailable) (list "0" "0%")) }}
{{- fail "rollout.maxSurge and rollout.maxUnavailable are both 0; no rollout could begin" }}
{{- end }}
{{- $needed := add (include "crosstalk.startSeconds" $ | int64) (int64 .minReadySeconds) }}
{{- if le (int64 .progressDeadlineSeconds) $needed }}
{{- fail (printf "rollout.progressDeadlineSeconds is not above the %d seconds that config.redis.start_timeout_ms and rollout.minReadySeconds let a pod take" $needed) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "crosstalk.validate.settings" -}}
{{- $owned := .Files.Get "files/settings.yaml" | fromYaml }}
{{- range $section, $settings := .Values.config }}
{{- range $key, $value := $settings }}
{{- $setting := printf "%s.%s" $section $key }}
{{- if hasKey $owned $setting }}
{{- fail (printf "config holds %s, which the chart sets itself; use %s" $setting (get $owned $setting)) }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- $variable := .name }}
{{- range $setting, $use := $owned }}
{{- $owns := printf "CROSSTALK_%s" ($setting | replace "." "_" | upper) }}
{{- if or (eq $variable $owns) (and (eq $setting "auth.providers") (hasPrefix $owns $variable)) }}
{{- fail (printf "extraEnv holds %s, which the chart sets itself; use %s" $variable $use) }}
{{- end }}
{{- end }}
{{- if and (eq $variable "REDIS_PASSWORD") $.Values.redis.passwordSecret }}
{{- fail "extraEnv holds REDIS_PASSWORD, which the chart sets itself; use redis.passwordSecret" }}
{{- end }}
{{- end }}
{{- end }}
