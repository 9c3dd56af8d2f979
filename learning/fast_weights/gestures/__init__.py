"""Classes of irregular series: gestures of a hand-held accelerometer, some samples dropped."""
