{{- define "policy-server.environment" -}}
{{- $v := .Values -}}
- {name: HOST, value: 0.0.0.0}
- {name: PORT, value: "8080"}
{{- if ne $v.state.kind "image" }}
# Below the volume: a folder of its own, which is its own to close to others.
- {name: BASE_PATH, value: /var/lib/policy-server/instance}
{{- end }}
{{- with $v.workers }}
- {name: WEB_CONCURRENCY, value: {{ . | quote }}}
{{- end }}
- {name: POLICY_SERVER_DRAIN_SECONDS, value: {{ $v.drainSeconds | quote }}}
{{- if $v.credentials.existingSecret }}
- {name: POLICY_SERVER_PASSWORD_FILE, value: /etc/policy-server/credentials/password}
{{- if $v.credentials.apiKeys }}
- {name: POLICY_SERVER_API_KEYS_FILE, value: /etc/policy-server/credentials/api_keys}
{{- end }}
{{- if $v.credentials.metricsToken }}
- {name: POLICY_SERVER_METRICS_TOKEN_FILE, value: /etc/policy-server/credentials/metrics_token}
{{- end }}
{{- if $v.credentials.memoryKey }}
- {name: POLICY_SERVER_MEMORY_KEY_FILE, value: /etc/policy-server/credentials/memory_key}
{{- end }}
{{- end }}
{{- if $v.tls.existingSecret }}
- {name: POLICY_SERVER_TLS_CERTIFICATE, value: /etc/policy-server/tls/tls.crt}
- {name: POLICY_SERVER_TLS_KEY, value: /etc/policy-server/tls/tls.key}
{{- end }}
{{- range $name, $value := $v.settings }}
{{- /* Helm reads 1000000 as a float, and would write 1e+06. */ -}}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}{{ $value = int64 $value }}{{ end }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "policy-server.mounts" -}}
{{- $v := .Values -}}
- {name: tmp, mountPath: /tmp}
{{- if ne $v.state.kind "image" }}
- {name: state, mountPath: /var/lib/policy-server}
{{- end }}
{{- if $v.credentials.existingSecret }}
- {name: credentials, mountPath: /etc/policy-server/credentials, readOnly: true}
{{- end }}
{{- if $v.tls.existingSecret }}
- {name: tls, mountPath: /etc/policy-server/tls, readOnly: true}
{{- end }}
{{- if $v.schema }}
- {name: schema, mountPath: /etc/policy-server/schema, readOnly: true}
{{- end }}
{{- if and $v.publish.enabled $v.publish.volume }}
- {name: policy, mountPath: {{ $v.publish.folder }}, readOnly: true}
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "policy-server.volumes" -}}
{{- $v := .Values -}}
- name: tmp
  emptyDir: {sizeLimit: {{ $v.tmpSizeLimit }}}
{{- if eq $v.state.kind "claim" }}
- name: state
  persistentVolumeClaim: {claimName: {{ $v.state.claim.existing | default (include "policy-server.name" .) }}}
{{- else if eq $v.state.kind "pod" }}
- name: state
  emptyDir: {sizeLimit: {{ $v.state.sizeLimit }}}
{{- end }}
{{- with $v.credentials.existingSecret }}
- name: credentials
  secret:
    secretName: {{ . }}
    # Readable by the group of fsGroup, and by nobody else.
    defaultMode: 0440
    items:
      - {key: {{ $v.credentials.password }}, path: password}
      {{- with $v.credentials.apiKeys }}
      - {key: {{ . }}, path: api_keys}
      {{- end }}
      {{- with $v.credentials.metricsToken }}
      - {key: {{ . }}, path: metrics_token}
      {{- end }}
      {{- with $v.credentials.memoryKey }}
      - {key: {{ . }}, path: memory_key}
      {{- end }}
{{- end }}
{{- with $v.tls.existingSecret }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if $v.schema }}
- name: schema
  configMap: {name: {{ include "policy-server.name" . }}-schema}
{{- end }}
{{- if and $v.publish.enabled $v.publish.volume }}
- name: policy
  {{- toYaml $v.publish.volume | nindent 2 }}
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
