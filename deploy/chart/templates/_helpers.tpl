{{- define "fairlead.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "fairlead.labels" -}}
app.kubernetes.io/part-of: fairlead
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* What every container is allowed: nothing beyond running. */}}
{{- define "fairlead.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "fairlead.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether the cluster is connected to a control plane. */}}
{{- define "fairlead.connected" -}}
{{- if and .Values.agent.url (not .Values.agent.cluster) }}
{{- fail "agent.url is set and agent.cluster is not: give the id that `fairlead cluster create NAME` printed, or leave both empty." }}
{{- end }}
{{- if and .Values.agent.cluster (not .Values.agent.url) }}
{{- fail "agent.cluster is set and agent.url is not: give the address of the control plane, or leave both empty." }}
{{- end }}
{{- if and .Values.agent.url .Values.agent.cluster }}yes{{ end -}}
{{- end -}}

{{/* One role: (dict "root" $ "role" "scheduler" "values" .Values.scheduler "ports" "" "mounts" "" "volumes" "" "env" ""). */}}
{{- define "fairlead.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: fairlead-{{ .role }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    app.kubernetes.io/name: fairlead-{{ .role }}
    {{- include "fairlead.labels" $root | nindent 4 }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels: {app.kubernetes.io/name: fairlead-{{ .role }}}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: fairlead-{{ .role }}
        {{- include "fairlead.labels" $root | nindent 8 }}
      annotations:
        checksum/settings: {{ include "fairlead.settings" $root | sha256sum }}
        prometheus.io/scrape: "true"
        prometheus.io/port: "9090"
    spec:
      serviceAccountName: fairlead-{{ .role }}
      enableServiceLinks: false  # else the Service of admission would set FAIRLEAD_ADMISSION_PORT
      {{- if $root.Values.priorityClassName }}
      priorityClassName: {{ $root.Values.priorityClassName }}
      {{- end }}
      {{- include "fairlead.pullSecrets" $root | nindent 6 }}
      {{- with .values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector:
                  matchLabels: {app.kubernetes.io/name: fairlead-{{ .role }}}
      securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532}
      containers:
        - name: {{ .role }}
          image: {{ include "fairlead.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [run, {{ .role }}, --settings, /etc/fairlead/settings/settings.yaml]
          env:
            - name: FAIRLEAD_ROLE_POD_NAME
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            - name: FAIRLEAD_ROLE_POD_IP
              valueFrom: {fieldRef: {fieldPath: status.podIP}}
            {{- with .env }}{{ . | nindent 12 }}{{- end }}
          ports:
            - {name: health, containerPort: 9090}
            {{- with .ports }}{{ . | nindent 12 }}{{- end }}
          startupProbe:  # a node that has much to do starts programs slowly, and ending them makes it no faster
            httpGet: {path: {{ .live | default "/healthz" }}, port: {{ .probePort | default "health" }}}
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 120
          livenessProbe:
            httpGet: {path: {{ .live | default "/healthz" }}, port: {{ .probePort | default "health" }}}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: {{ .readiness | default "/readyz" }}, port: {{ .probePort | default "health" }}}
            periodSeconds: 5
            timeoutSeconds: 5
          resources: {{- toYaml .values.resources | nindent 12 }}
          {{- include "fairlead.confined" $root | nindent 10 }}
          volumeMounts:
            - {name: settings, mountPath: /etc/fairlead/settings, readOnly: true}
            - {name: scratch, mountPath: /tmp}
            {{- with .mounts }}{{ . | nindent 12 }}{{- end }}
      volumes:
        - name: settings
          configMap: {name: fairlead-settings}
        - name: scratch
          emptyDir: {sizeLimit: 64Mi}
        {{- with .volumes }}{{ . | nindent 8 }}{{- end }}
{{- if gt (int .values.replicas) 1 }}
---
apiVersion: {{ ternary "policy/v1" "policy/v1beta1" ($root.Capabilities.APIVersions.Has "policy/v1") }}
kind: PodDisruptionBudget
metadata:
  name: fairlead-{{ .role }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "fairlead.labels" $root | nindent 4 }}
spec:
  minAvailable: 1
  selector:
    matchLabels: {app.kubernetes.io/name: fairlead-{{ .role }}}
{{- end }}
{{- end -}}

{{/* Whose memory MPS enforces, for all who have a part in it. */}}
{{- define "fairlead.mps" -}}
mps: {pods: {{ ternary .Values.node.mps.pods "off" (and .Values.node.enabled .Values.node.mps.enabled) | quote }}, nodeNamespace: {{ .Values.node.namespace }}}
{{- end -}}

{{- define "fairlead.settings" -}}
log:
  level: {{ .Values.logLevel }}
lease:
  namespace: {{ .Release.Namespace }}
role:
  namespace: {{ .Release.Namespace }}
scheduler:
  names: {{ toJson .Values.schedulerNames }}
  mode: {{ .Values.scheduler.mode }}
  explainFor: ["system:serviceaccount:{{ .Release.Namespace }}:fairlead-agent"]
controllers:
  webhooks: {{ and .Values.admission.enabled (not .Values.admission.certManager.enabled) }}
reservation:
  namespace: {{ .Values.reservation.namespace }}
  timeoutSeconds: {{ .Values.reservation.timeoutSeconds }}
  pullPolicy: {{ .Values.image.pullPolicy }}
  pullSecrets: {{ toJson .Values.image.pullSecrets }}
  priorityClass: {{ .Values.priorityClassName | quote }}
  {{- if .Values.reservation.image }}
  image: {{ .Values.reservation.image | quote }}
  {{- else }}
  image: {{ include "fairlead.image" . | quote }}
  command: [python3, -ISc, "import signal as s; s.pthread_sigmask(s.SIG_BLOCK, {s.SIGTERM}); s.sigwait({s.SIGTERM})"]
  {{- end }}
{{ include "fairlead.mps" . }}
admission:
  trusted: ["system:serviceaccount:{{ .Release.Namespace }}:"]
agent:
  url: {{ .Values.agent.url | quote }}
  cluster: {{ .Values.agent.cluster | quote }}
  proxy: {{ .Values.agent.proxy | quote }}
  noProxy: {{ .Values.agent.noProxy | quote }}
  caFile: {{ ternary "/etc/fairlead/ca/ca.crt" "" (ne .Values.agent.ca "") | quote }}
server:
  publicUrl: {{ .Values.server.publicUrl | quote }}
{{- end -}}
