import { describe, expect, it } from 'vitest';
import deadletter from '../../functions/deadletter.ts';
import { clusterDomainIn } from '../../shared/host/cluster-domain.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';

describe('clusterDomainIn', () => {
  it.each([
    [
      "a Pod's",
      'search zen-system.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10',
      'cluster.local',
    ],
    [
      'one of another domain',
      'nameserver 10.96.0.10\nsearch zen-system.svc.k8s.example svc.k8s.example k8s.example',
      'k8s.example',
    ],
    ['one with tabs and a final dot', 'search\ta.svc.k8s.example.\tsvc.k8s.example.\n', 'k8s.example'],
    ["a machine's", 'search example.com\nnameserver 192.0.2.1', 'cluster.local'],
    ['one that says svc of nothing', 'search svc.', 'cluster.local'],
    ['an empty one', '', 'cluster.local'],
  ])('reads %s', (_whose, text, expected) => {
    expect(clusterDomainIn(text)).toBe(expected);
  });

  it("is part of a function's address", () => {
    expect(functionInfoOf(deadletter, {}, [], 'k8s.example').url).toBe('http://deadletter.zen-system.svc.k8s.example');
  });
});
