import type { Post } from './measure.ts';

/** A structured CloudEvent of 1.5 KB with an alert that no other index has. */
export function alert(index: number, priority = 'Error'): Post {
  const data = {
    ...{ rule: `Terminal shell in container ${index}`, priority, source: 'syscall', hostname: 'node-1' },
    ...{
      time: '2026-03-01T10:00:00.123456789Z',
      output: 'A shell was spawned in a container with an attached terminal '.repeat(8),
    },
    tags: ['container', 'shell', 'mitre_execution', 'T1059'],
    output_fields: {
      ...{
        'container.id': '82a64fb56557',
        'container.image.repository': 'docker.io/library/nginx',
        'k8s.ns.name': 'shop',
      },
      ...{
        'k8s.pod.name': 'cart-7d9c5b6f4d-x2x9z',
        'proc.name': 'sh',
        'proc.cmdline': 'sh -c id',
        'user.name': 'root',
      },
      ...{
        'evt.time': 1772359200123456,
        'proc.tty': 34816,
        'proc.exepath': '/bin/busybox',
        'proc.pname': 'containerd-shim',
      },
    },
  };
  const event = { specversion: '1.0', id: `e-${index}`, source: '/bench', type: 'falco.rule.output.v1', data };
  return { path: '/', headers: { 'content-type': 'application/cloudevents+json' }, body: JSON.stringify(event) };
}
