-- name: uploads_unfinished
SELECT o.id, o.md5, o.size FROM terrane.objects o
 WHERE o.status = 'live' AND o.md5 IS NOT NULL AND o.live_at > now() - interval '1 day'
   AND (EXISTS (SELECT 1 FROM terrane.configuration_versions c WHERE c.object_id = o.id AND c.status = 'pending')
     OR EXISTS (SELECT 1 FROM terrane.state_versions s WHERE s.object_id = o.id AND s.status = 'pending'))
 LIMIT 100
