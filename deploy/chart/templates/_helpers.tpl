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

{{/* What every container is allowed: nothing beyond running. Where it ends with an error, its last words are in its pod's status. */}}
{{- define "fairlead.confined" -}}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  {{- if not .Values.openshift.enabled }}
  seccompProfile: {type: RuntimeDefault}
  {{- end }}  {{- /* OpenShift says it itself, and before 4.11 let no account do so */}}
{{- end -}}

{{/* As whom pods run: on OpenShift, as whom it says. `volumes`: theirs too. */}}
{{- define "fairlead.user" -}}
{runAsNonRoot: true{{ if not .root.Values.openshift.enabled }}, runAsUser: 65532, runAsGroup: 65532{{ if .volumes }}, fsGroup: 65532{{ end }}{{ end }}}
{{- end -}}

{{- define "fairlead.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether PodSecurityPolicies are made: where the cluster has the kind (gone in 1.25), unless the value says otherwise. */}}
{{- define "fairlead.podSecurityPolicy" -}}
{{- $served := .Capabilities.APIVersions.Has "policy/v1beta1/PodSecurityPolicy" }}
{{- $wanted := toString .Values.podSecurityPolicy.enabled }}
{{- if and (eq $wanted "true") (not $served) }}
{{- fail (printf "podSecurityPolicy.enabled is true, but Kubernetes %s serves no PodSecurityPolicy (gone in 1.25): leave it at auto. Pod Security Admission takes its place, and the namespaces are labelled for it." .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- if and $served (ne $wanted "false") }}yes{{ end -}}
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
        checksum/settings: {{ include (ternary "fairlead.settings" "fairlead.settings.cluster" (has .role (list "agent" "server"))) $root | sha256sum }}
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
      {{- $system := $root.Values.systemNodes }}
      {{- $tolerations := .values.tolerations }}
      {{- if $system.label }}
      {{- $tolerations = append $tolerations (dict "key" $system.label "operator" "Exists") }}
      {{- end }}
      {{- with $tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      affinity:
        {{- if $system.label }}
        nodeAffinity:
          {{- if $system.required }}
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
              - matchExpressions: [{key: {{ $system.label }}, operator: Exists}]
          {{- else }}
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              preference:
                matchExpressions: [{key: {{ $system.label }}, operator: Exists}]
          {{- end }}
        {{- end }}
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector:
                  matchLabels: {app.kubernetes.io/name: fairlead-{{ .role }}}
      securityContext: {{ include "fairlead.user" (dict "root" $root "volumes" true) }}
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

{{/* Sign-in with a provider, as the control plane is told. */}}
{{- define "fairlead.oidc" -}}
{{- with .Values.server.oidc -}}
{{- $_ := required "server.oidc.issuer is set and server.oidc.clientId is not: give the id this application has at the provider." .clientId -}}
{{- $_ := required "server.oidc.issuer is set and server.publicUrl is not: the provider sends browsers back there." $.Values.server.publicUrl -}}
oidc:
  issuer: {{ .issuer | quote }}
  name: {{ .name | quote }}
  clientId: {{ .clientId | quote }}
  clientSecretFile: {{ ternary "/etc/fairlead/oidc/client-secret" "" (ne .existingSecret "") | quote }}
  scopes: {{ toJson .scopes }}
  usernameClaim: {{ .usernameClaim | quote }}
  groupsClaim: {{ .groupsClaim | quote }}
  groupRoles: {{ toJson .groupRoles }}
  caFile: {{ ternary "/etc/fairlead/settings/oidc-ca.crt" "" (ne .ca "") | quote }}
  proxy: {{ .proxy | quote }}
  proxyCredentialsFile: {{ ternary "/etc/fairlead/oidc/proxy-credentials" "" (ne .existingSecret "") | quote }}
  noProxy: {{ .noProxy | quote }}
{{- end -}}
{{- end -}}

{{/* What scheduler, controllers and admission read. They go on as they are where only the connection or the control plane changes. */}}
{{- define "fairlead.settings.cluster" -}}
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
  createNamespaces: {{ .Values.projects.createNamespaces }}
  webhooks: {{ and .Values.admission.enabled (not .Values.admission.certManager.enabled) }}
  daily: {{ .Values.prerequisites.daily }}
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
  gpuRuntimeClass: {{ .Values.gpu.runtimeClass | quote }}
  defaultStorageClass: {{ .Values.storage.defaultClass | quote }}
  storageClasses: {{ toJson .Values.storage.allowedClasses }}
{{- end -}}

{{- define "fairlead.settings" -}}
{{ include "fairlead.settings.cluster" . }}
agent:
  url: {{ .Values.agent.url | quote }}
  cluster: {{ .Values.agent.cluster | quote }}
  proxy: {{ .Values.agent.proxy | quote }}
  noProxy: {{ .Values.agent.noProxy | quote }}
  transport: {{ .Values.agent.transport }}
  caFile: {{ ternary "/etc/fairlead/ca/ca.crt" "" (ne .Values.agent.ca "") | quote }}
server:
  publicUrl: {{ .Values.server.publicUrl | quote }}
  {{- if .Values.server.oidc.issuer }}
{{ include "fairlead.oidc" . | indent 2 }}
  {{- end }}
{{- end -}}
