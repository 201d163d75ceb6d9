"""What stands beside a group's offset: the Python client cannot say it, its library can."""
import ctypes

LIBC = ctypes.CDLL(None)
LIBC.strdup.restype = ctypes.c_void_p


class Place(ctypes.Structure):
    """rd_kafka_topic_partition_t"""
    _fields_ = [("topic", ctypes.c_char_p), ("partition", ctypes.c_int32), ("offset", ctypes.c_int64),
                ("metadata", ctypes.c_void_p), ("metadata_size", ctypes.c_size_t), ("opaque", ctypes.c_void_p),
                ("err", ctypes.c_int), ("private", ctypes.c_void_p)]


class Offsets:
    """The group's offset of one partition, read and written as a stranger would, with metadata."""

    def __init__(self, bootstrap, group):
        self.library = ctypes.CDLL("librdkafka.so.1")
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_topic_partition_list_new"):
            getattr(self.library, name).restype = ctypes.c_void_p
        self.library.rd_kafka_topic_partition_list_add.restype = ctypes.POINTER(Place)
        conf = ctypes.c_void_p(self.library.rd_kafka_conf_new())
        for name, value in (("bootstrap.servers", bootstrap), ("group.id", group), ("log_level", "0"),
                            ("isolation.level", "read_committed")):
            self.library.rd_kafka_conf_set(conf, name.encode(), value.encode(), None, 0)
        self.client = ctypes.c_void_p(self.library.rd_kafka_new(1, conf, None, 0))

    def _list(self, topic, partition):
        places = ctypes.c_void_p(self.library.rd_kafka_topic_partition_list_new(1))
        return places, self.library.rd_kafka_topic_partition_list_add(places, topic.encode(), partition).contents

    def read(self, topic, partition):
        """(offset, metadata)"""
        places, place = self._list(topic, partition)
        error = self.library.rd_kafka_committed(self.client, places, 30000)
        assert error == 0 and place.err == 0, (error, place.err)
        found = place.offset, ctypes.string_at(place.metadata, place.metadata_size) if place.metadata_size else b""
        self.library.rd_kafka_topic_partition_list_destroy(places)
        return found

    def write(self, topic, partition, offset, metadata):
        """Of a group without members."""
        places, place = self._list(topic, partition)
        place.offset, place.metadata_size = offset, len(metadata)
        place.metadata = LIBC.strdup(metadata)  # the list frees it
        error = self.library.rd_kafka_commit(self.client, places, 0)
        assert error == 0 and place.err == 0, (error, place.err)
        self.library.rd_kafka_topic_partition_list_destroy(places)

    def close(self):
        self.library.rd_kafka_destroy(self.client)
