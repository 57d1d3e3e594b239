{{- define "policy-server.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "policy-server.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "policy-server.labels" -}}
{{ include "policy-server.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "policy-server.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "policy-server.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "policy-server.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- /* Whether there may be several pods: "yes", or nothing. */ -}}
{{- define "policy-server.several" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}yes{{- end -}}
{{- end -}}

{{- /* Refuses values that fit the schema, but not each other. */ -}}
{{- define "policy-server.check" -}}
{{- $v := .Values -}}
{{- $several := include "policy-server.several" . -}}
{{- if and (eq $v.state.kind "claim") (not (or $v.state.claim.existing $v.schema $v.publish.enabled)) -}}
{{- fail "schema: is wanted, or publish.enabled: the volume is empty at first, and a server that has no API does not start." -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas: is more than autoscaling.maxReplicas." -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (not (dig "requests" "cpu" "" $v.resources)) -}}
{{- fail "resources.requests.cpu: is wanted where autoscaling is on, which measures against it." -}}
{{- end -}}
{{- if and $several (eq $v.state.kind "claim") (not $v.state.claim.existing) (ne $v.state.claim.accessMode "ReadWriteMany") -}}
{{- fail "state.claim.accessMode: several pods share the volume: ReadWriteMany is wanted; or state.kind: pod with publish.enabled." -}}
{{- end -}}
{{- if and $several (ne $v.state.kind "claim") (not $v.credentials.existingSecret) -}}
{{- fail "credentials.existingSecret: is wanted where several pods share no volume: each would make a password of its own." -}}
{{- end -}}
{{- if and $several (ne $v.state.kind "claim") (not $v.credentials.memoryKey) -}}
{{- fail "credentials.memoryKey: is wanted where several pods share no volume: an episode that one began is refused by the others." -}}
{{- end -}}
{{- if and (eq $v.state.kind "image") (not $v.credentials.existingSecret) -}}
{{- fail "credentials.existingSecret: is wanted where state.kind is image: there is no place for a password that is made." -}}
{{- end -}}
{{- if and (eq $v.state.kind "image") (or $v.publish.enabled $v.schema) -}}
{{- fail "state.kind: is image, which cannot be written to: publish.enabled and schema want claim or pod." -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled $v.ingress.enabled (not $v.ingress.controllerNamespace) -}}
{{- fail "ingress.controllerNamespace: is wanted, such as ingress-nginx: the NetworkPolicy would shut the controller out." -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled $v.metrics.serviceMonitor.enabled (not $v.metrics.serviceMonitor.prometheusNamespace) -}}
{{- fail "metrics.serviceMonitor.prometheusNamespace: is wanted, such as monitoring: the NetworkPolicy would shut Prometheus out." -}}
{{- end -}}
{{- if and $v.metrics.serviceMonitor.enabled (not (and $v.credentials.existingSecret $v.credentials.metricsToken)) -}}
{{- fail "credentials.metricsToken: is wanted, with credentials.existingSecret: without a token only programs of the pod may read /metrics." -}}
{{- end -}}
{{- end -}}
