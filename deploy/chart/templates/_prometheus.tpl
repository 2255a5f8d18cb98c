{{/* Whether metrics are collected in that way: (dict "root" $ "mode" "bundled"). */}}
{{- define "fairlead.prometheus.is" -}}
{{- if and .root.Values.prometheus.enabled (eq .root.Values.prometheus.mode .mode) }}yes{{ end -}}
{{- end -}}

{{/* Namespaces with pods that serve metrics, as a JSON list. */}}
{{- define "fairlead.prometheus.namespaces" -}}
{{- $found := list .Release.Namespace -}}
{{- if .Values.node.enabled }}{{ $found = append $found .Values.node.namespace }}{{ end -}}
{{- toJson (uniq $found) -}}
{{- end -}}

{{/* The job by which a Prometheus that may ask the API server finds them. */}}
{{- define "fairlead.prometheus.scrape" -}}
- job_name: fairlead
  kubernetes_sd_configs:
    - role: pod
      namespaces: {names: {{ include "fairlead.prometheus.namespaces" . }}}
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_part_of], regex: fairlead, action: keep}
    - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: "true", action: keep}
    - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: health, action: keep}
    - {source_labels: [__meta_kubernetes_pod_phase], regex: Succeeded|Failed, action: drop}
    - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
    - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
{{- end -}}

{{- define "fairlead.prometheus.config" -}}
{{- $mine := .Values.prometheus -}}
{{- $labels := $mine.externalLabels -}}
{{- if and .Values.agent.cluster (not (hasKey $labels "cluster")) }}{{ $labels = merge (dict "cluster" .Values.agent.cluster) $labels }}{{ end -}}
global:
  scrape_interval: {{ $mine.scrapeInterval }}
  evaluation_interval: {{ $mine.scrapeInterval }}
  external_labels: {{ toJson $labels }}
rule_files: [/etc/prometheus/rules.yaml]
{{- with $mine.alertmanagers }}
alerting:
  alertmanagers:
    - static_configs:
        - targets: {{ toJson . }}
{{- end }}
scrape_configs:
  - job_name: fairlead  # by the names of headless services: it needs no right to anything of the cluster
    dns_sd_configs:
      - type: A
        port: 9090
        names:
          {{- range include "fairlead.prometheus.namespaces" . | fromJsonArray }}
          - fairlead-metrics.{{ . }}.svc
          {{- end }}
{{- with $mine.extraScrapeConfigs }}
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.remoteWrite }}
{{- if .url }}
remote_write:
  - url: {{ .url | quote }}
    {{- with .headers }}
    headers: {{ toJson . }}
    {{- end }}
    {{- with .proxyUrl }}
    proxy_url: {{ . | quote }}
    {{- end }}
    {{- if and .existingSecret .username }}
    basic_auth: {username: {{ .username | quote }}, password_file: /etc/prometheus/remote-write/password}
    {{- else if .existingSecret }}
    authorization: {credentials_file: /etc/prometheus/remote-write/token}
    {{- end }}
    {{- if .ca }}
    tls_config: {ca_file: /etc/prometheus/ca.crt}
    {{- end }}
    write_relabel_configs:
      - {source_labels: [__name__], regex: {{ .metrics | quote }}, action: keep}
{{- end }}
{{- end }}
{{- end -}}
