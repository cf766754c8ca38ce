{{- /*
Gives every value that is missing its default. `helm upgrade --reuse-values` brings the values of the chart before, which lack what
is new since. So every template begins with this, and may then ask for any value.
*/ -}}
{{- define "zen-watcher.defaults" -}}
{{- include "zen-watcher.fill" (list .Values (include "zen-watcher.defaultValues" . | fromYaml)) }}
{{- end }}

{{- define "zen-watcher.fill" -}}
{{- $values := index . 0 }}
{{- range $key, $default := index . 1 }}
{{- if not (hasKey $values $key) }}
{{- $_ := set $values $key $default }}
{{- else if and (kindIs "map" $default) (kindIs "map" (get $values $key)) }}
{{- include "zen-watcher.fill" (list (get $values $key) $default) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "zen-watcher.namespace" -}}
{{ .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{- define "zen-watcher.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* The class of a Broker can't be changed, nor the Broker of a Trigger, so another class has names of its own. */ -}}
{{- define "zen-watcher.brokerSuffix" -}}
{{ with .Values.broker.class }}-{{ lower . }}{{ end }}
{{- end }}

{{- define "zen-watcher.broker" -}}
zen-watcher{{ include "zen-watcher.brokerSuffix" . }}
{{- end }}

{{- /* Arguments: the root, a function, and the replicas that apply where it has none of its own. */ -}}
{{- define "zen-watcher.minScale" -}}
{{- $function := index (index . 0).Values.functions (index . 1) }}
{{- hasKey $function "replicas" | ternary $function.replicas (index . 2) | int }}
{{- end }}

{{- /* The same, and how many Pods are generated for it at most. No maximum is less than the minimum. */ -}}
{{- define "zen-watcher.maxScale" -}}
{{- $name := index . 1 }}
{{- $values := (index . 0).Values }}
{{- $min := include "zen-watcher.minScale" . | int }}
{{- $set := (index $values.functions $name).maxReplicas | default $values.maxReplicas | int }}
{{- if and $set (lt $set $min) }}
{{- fail (printf "functions.%s: %d replicas are more than its maxReplicas, %d" $name $min $set) }}
{{- end }}
{{- $set | default (index . 3 | int) | max $min }}
{{- end }}

{{- /* `7d` in seconds. */ -}}
{{- define "zen-watcher.seconds" -}}
{{- mul (regexFind "[0-9]+" . | int64) (dict "s" 1 "m" 60 "h" 3600 "d" 86400 | dig (regexFind "[smhd]" .) 1) }}
{{- end }}

{{- /*
The environment of a function. What is generated for it is overridden by `env`, and that by its own. The gateway drops early what the
functions behind its webhooks don't want, so it also gets their settings: further arguments name such a function, then those.
*/ -}}
{{- define "zen-watcher.env" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- $function := index $root.Values.functions $name }}
{{- $generated := include (printf "zen-watcher.env.%s" $name) $root | fromYamlArray }}
{{- with $function.ttl | default $root.Values.ttl }}
{{- $generated = append $generated (dict "name" "OBSERVATION_TTL_SECONDS" "value" (include "zen-watcher.seconds" .)) }}
{{- end }}
{{- $byName := dict }}
{{- range $generated }}
{{- $_ := set $byName .name . }}
{{- end }}
{{- $set := $root.Values.env }}
{{- range $theirs := slice . 2 }}
{{- range (index $root.Values.functions (first $theirs)).env }}
{{- if has .name (rest $theirs) }}
{{- $set = append $set . }}
{{- end }}
{{- end }}
{{- end }}
{{- $set = concat $set ($function.env | default list) }}
{{- $names := list }}
{{- range concat $generated $set }}
{{- $names = append $names .name }}
{{- $_ := set $byName .name . }}
{{- end }}
{{- range uniq $names }}
- {{ get $byName . | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}

{{- /* What the Deployment of `standalone` runs: every function that is on. Those that are off by default run where their settings say so. */ -}}
{{- define "zen-watcher.standaloneArgs" -}}
{{- $off := list }}
{{- $defaults := (include "zen-watcher.defaultValues" . | fromYaml).functions }}
{{- range $name, $function := .Values.functions }}
{{- if and (get $defaults $name).enabled (not $function.enabled) }}
{{- $off = append $off $name }}
{{- end }}
{{- end }}
- standalone
{{- with $off }}
- --without={{ join "," . }}
{{- end }}
{{- end }}

{{- /* What sinks do not share in one process has the name of the sink in front: shared/function/sink-environment.ts. */ -}}
{{- define "zen-watcher.ownVariable" -}}
{{ if has (index . 1) (list "SINK_TOKEN_FILE" "SINK_CA_FILE") }}{{ index . 0 | upper }}_{{ end }}{{ index . 1 }}
{{- end }}

{{- /* Its environment: what is generated, then `env`, then those of the functions that are on, which all have the same one. */ -}}
{{- define "zen-watcher.standaloneEnv" -}}
{{- $all := concat (include "zen-watcher.standaloneEnv.generated" . | fromYamlArray) .Values.env }}
{{- range $name, $function := .Values.functions }}
{{- range $function.enabled | ternary ($function.env | default list) list }}
{{- $all = append $all (merge (dict "name" (include "zen-watcher.ownVariable" (list $name .name))) .) }}
{{- end }}
{{- end }}
{{- $byName := dict }}
{{- $names := list }}
{{- range $all }}
{{- $names = append $names .name }}
{{- $_ := set $byName .name . }}
{{- end }}
{{- range uniq $names }}
- {{ get $byName . | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}

{{- /* Those of the functions that are on; a selector must have one. */ -}}
{{- define "zen-watcher.namesOn" -}}
{{- $functions := (index . 0).Values.functions }}
{{- $on := list }}
{{- range rest . }}
{{- if (index $functions .).enabled }}
{{- $on = append $on . }}
{{- end }}
{{- end }}
{{- $on | default (list "none") | toYaml }}
{{- end }}

{{- /* Whether a namespace is missing, or this release's: one that others have made is left alone. */ -}}
{{- define "zen-watcher.mayOwnNamespace" -}}
{{- $found := lookup "v1" "Namespace" "" (index . 1) }}
{{- if or (not $found) (eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $found) (index . 0).Release.Name) }}true{{ end }}
{{- end }}

{{- define "zen-watcher.testHook" -}}
helm.sh/hook: test
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
helm.sh/hook-weight: {{ . | quote }}
{{- end }}
